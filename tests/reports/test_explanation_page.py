from __future__ import annotations

from pathlib import Path

import pytest

import regraft
from regraft.cli.app import run as command
from regraft.errors import NoImagesError, SettingsError
from regraft.reports.explanation_page import Explanations, explain_images
from tests.browser import Visiting
from tests.conftest import DigitsRun


@pytest.fixture(scope="module")
def run(digits_run: DigitsRun) -> Path:
    return digits_run("svm").folder


@pytest.mark.browser
def test_the_page_shows_chances_maps_and_neighbours(
    run: Path, digits: Path, tmp_path: Path, visiting: Visiting
) -> None:
    image = sorted((digits / "7").glob("*.png"))[0]
    found = explain_images(run, [image], neighbours=3)
    assert isinstance(found, Explanations)
    (row,) = found.rows
    (said,) = regraft.load_model(run).predict(image)
    assert row.chances[0] == (said.label, pytest.approx(said.probability, abs=1e-6))
    assert [one.method for one in row.maps] == ["grad-cam", "occlusion"]
    assert len(row.neighbours) == 3
    with visiting() as visit:
        visit.open(found.write(tmp_path / "page.html").as_uri())
        assert (visit.dialogs, visit.outside, visit.complaints) == ([], [], [])
        assert visit.page.locator("img").count() == 6
        assert visit.faults() == []


def test_a_bad_file_is_listed_and_stops_nothing(run: Path, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    found = explain_images(run, [tmp_path / "bad.png", sorted(digits.rglob("*.png"))[0]], neighbours=0)
    assert isinstance(found, Explanations)
    assert len(found.rows) == 1
    assert "not an image" in found.skipped[0].reason


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        (
            {"images": ["gone.png"]},
            NoImagesError,
            "no image to explain: gone.png: can't be opened: No such file",
        ),
        ({"images": []}, NoImagesError, "name at least one image"),
        ({"images": ["x.png"], "boxes": 3}, SettingsError, "boxes: no effect on .* labels of whole images"),
        ({"images": ["x.png"], "label": "9"}, SettingsError, "the model has no label '9'; it has 5, 6, 7"),
    ],
)
def test_what_cannot_be_explained_is_refused(
    run: Path, how: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        explain_images(run, **how, neighbours=0)  # type: ignore[arg-type]


def test_the_command_says_which_methods_there_are(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["explain", str(run), "x.png", "--methods", "saliency"]) == 2
    assert "accepted are grad-cam, grad-cam++, rollout, occlusion" in capsys.readouterr().err
