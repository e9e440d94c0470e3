from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import regraft
from regraft.cli.app import run as command
from regraft.detection.detectors.run_tables import BOXES
from regraft.errors import NoImagesError, SettingsError
from regraft.reports.evidence_page import MOST_BYTES, BoxExplanations
from regraft.reports.explanation_page import explain_images
from tests.browser import Visiting


def explained(run: Path, *images: Path, **changes: object) -> BoxExplanations:
    found = explain_images(run, images, **{"neighbours": 3, **changes})  # type: ignore[arg-type]
    assert isinstance(found, BoxExplanations)
    return found


@pytest.fixture(scope="module")
def training(shapes_run: Path) -> str:
    """A training picture with two objects."""
    paths = [row.path for row in BOXES.read(shapes_run) if row.side == "train"]
    return next(path for path in paths if paths.count(path) == 2)


@pytest.fixture(scope="module")
def found(shapes: Path, shapes_run: Path, training: str) -> BoxExplanations:
    return explained(shapes_run, shapes / training, shapes / "images" / "00.png")


@pytest.mark.browser
def test_the_page_shows_boxes_evidence_and_similar_boxes(
    found: BoxExplanations, tmp_path: Path, visiting: Visiting
) -> None:
    boxes = [box for one in found.pictures for box in one.boxes]
    alike = sum(len(box.alike) + len(box.others) for box in boxes)
    missed = sum(len(one.alike) for picture in found.pictures for one in picture.missed)
    with visiting() as visit:
        visit.open(found.write(tmp_path / "page.html").as_uri())
        assert (visit.dialogs, visit.outside, visit.complaints) == ([], [], [])
        pictures = visit.page.locator("svg[role=img] image").count()
        assert pictures == len(found.pictures) + 2 * len(boxes) + alike + missed
        for summary in visit.page.locator("summary").all():
            summary.press("Enter")
        assert visit.page.locator("details:not([open])").count() == 0
        assert visit.faults() == []


def test_every_image_has_a_text_for_those_who_do_not_see_it(found: BoxExplanations, tmp_path: Path) -> None:
    html = found.write(tmp_path / "page.html").read_text()
    assert html.count("<image ") == len(re.findall(r'<svg[^>]*role="img" aria-label="[^"]+"><image ', html))


def test_the_lines_say_what_the_page_says(found: BoxExplanations, training: str) -> None:
    first = found.lines[0]
    assert re.search(rf"{re.escape(training)}: \d box(es)? \(", first)
    assert any(re.match(r"  1 (disc|square) \d+\.\d%, \w+", line) for line in found.lines)
    assert any("the most similar training boxes: " in line for line in found.lines)


def test_a_training_picture_is_called_one(found: BoxExplanations, tmp_path: Path) -> None:
    html = found.write(tmp_path / "page.html").read_text()
    assert "This is a train picture of the run: the detector was fitted on it" in html


def test_a_page_of_nothing_says_so_with_the_nearest_box(found: BoxExplanations, tmp_path: Path) -> None:
    picture = replace(found.pictures[0], shown=0)
    nothing = replace(found.found, pictures=(picture, replace(picture, boxes=())))
    page = BoxExplanations(nothing)
    html = page.write(tmp_path / "page.html").read_text()
    assert "no box reaches the threshold of its class. The one that comes nearest is explained" in html
    assert "<strong>Nothing was found</strong>, not even a box with a probability of 1 %" in html
    assert "no box reaches the threshold of its class; the one that comes nearest" in page.lines[0]


def test_many_pictures_stay_below_five_megabytes(found: BoxExplanations, tmp_path: Path) -> None:
    many = BoxExplanations(replace(found.found, pictures=found.pictures[:1] * 200))
    path = many.write(tmp_path / "page.html")
    assert path.stat().st_size <= MOST_BYTES
    assert re.search(r"\d+ pictures are left out, so that the page stays below 5 MB", path.read_text())


def test_names_are_shown_as_text(found: BoxExplanations, tmp_path: Path) -> None:
    picture = replace(found.pictures[0], path="<script>alert(1)</script>")
    html = BoxExplanations(replace(found.found, pictures=(picture,))).write(tmp_path / "p.html").read_text()
    assert "<script>alert" not in html


def test_pictures_that_are_gone_leave_evidence_and_a_remark(
    shapes: Path, shapes_run: Path, training: str, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    gone = explained(shapes_run, shapes / training, data=empty)
    assert gone.remark
    html = gone.write(tmp_path / "page.html").read_text()
    assert "what is left of" in html


def test_a_bad_file_is_listed_and_stops_nothing(
    shapes_run: Path, shapes: Path, training: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    page = tmp_path / "page.html"
    words = [str(shapes_run), str(tmp_path / "bad.png"), str(shapes / training), "--neighbours", "0"]
    for _ in range(2):  # a page that it has written is replaced
        assert command(["explain", *words, "--out", str(page), "--boxes", "1"]) == 0
    assert f"skipped {tmp_path / 'bad.png'}: " in capsys.readouterr().out
    assert "Could not be read" in page.read_text()


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        (
            {"images": ["gone.png"]},
            NoImagesError,
            "no image to explain: gone.png: can't be opened: No such file",
        ),
        ({"images": []}, NoImagesError, "name at least one image"),
        ({"images": ["x.png"], "stage": "a"}, SettingsError, "stage: no effect on .* finds boxes. Remove it"),
        (
            {"images": ["x.png"], "methods": ["rollout"], "stage": "a"},
            SettingsError,
            "methods, stage: no effect on .* Remove them",
        ),
        ({"images": ["x.png"], "label": "cat"}, SettingsError, "no class 'cat'; it has disc, square"),
    ],
)
def test_what_cannot_be_explained_is_refused(
    shapes_run: Path, how: dict[str, object], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        explain_images(shapes_run, **how, neighbours=0)  # type: ignore[arg-type]


def test_a_saved_detector_says_that_it_knows_no_training_boxes(
    shapes_run: Path, shapes: Path, training: str
) -> None:
    found = explained(shapes_run / "bundle", shapes / training, boxes=1)
    assert found.remark == "no similar training boxes are shown: a saved detector without its run lists none"
    with pytest.raises(SettingsError, match=r"has no effect on .* a saved detector without its run"):
        explained(shapes_run / "bundle", shapes / training, data=shapes)


def test_the_detector_is_public() -> None:
    from regraft.detection.detectors import detector

    assert (regraft.Detector, regraft.DetectedPictures) == (detector.Detector, detector.DetectedPictures)
