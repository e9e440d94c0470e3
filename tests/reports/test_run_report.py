from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.errors import SettingsError
from regraft.runs.reading import RunFiles
from tests.browser import ENDS, Visiting
from tests.conftest import DigitsRun

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "{{7*7}}",
    "\x1b[31mred",
    "\u202egnp.exe",
    "=cmd()",
)


@pytest.fixture(scope="module")
def run(digits_run: DigitsRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported") / "digits"
    shutil.copytree(digits_run("climbed").folder, folder)
    regraft.write_report(folder)
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes and files whose names try to run something."""
    root, generator = tmp_path_factory.mktemp("hostile"), np.random.default_rng(0)
    for number, name in enumerate(HOSTILE):
        (root / "data" / name).mkdir(parents=True)
        for copy in range(8):
            pixels = generator.integers(0, 256, (28, 28), dtype=np.uint8) // (number + 1)
            Image.fromarray(pixels).save(root / "data" / name / f"{name}{copy}.png")
    regraft.fit(root / "data", network="lenet5", strategy="probe", out=root / "run")
    return regraft.write_report(root / "run")


def test_the_answer_comes_first_and_is_the_runs(run: Path) -> None:
    accuracy = RunFiles(run).best.accuracy
    text = (run / "report.html").read_text()
    answer = text[text.index('class="big"') :]
    assert re.search(r">([\d.]+) %<", answer).group(1) == f"{100 * accuracy.value:.1f}"  # type: ignore[union-attr]
    assert f"[{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]" in answer[:300]  # type: ignore[operator]


def test_every_part_is_there_and_the_page_is_small(run: Path) -> None:
    text = (run / "report.html").read_text()
    for part in (
        "ladder",
        "depth",
        "confusion",
        "mistakes",
        "looks",
        "classes",
        "calibration",
        "data",
        "made",
    ):
        assert f'id="{part}"' in text, part
    assert len(text) < 5e6


def test_every_confusion_count_is_on_the_page(run: Path) -> None:
    text = (run / "report.html").read_text()
    table = text[text.index('class="matrix"') :]
    found = [int(n) for n in re.findall(r">(\d+)</(?:button|span)>", table[: table.index("</table>")])]
    assert found == [count for row in RunFiles(run).best.confusion for count in row]


@pytest.mark.browser
def test_a_cell_shows_its_images_and_hides_them_again(run: Path, visiting: Visiting) -> None:
    with visiting() as visit:
        visit.open((run / "report.html").as_uri())
        button = visit.page.locator("[data-shows]").first
        gallery = visit.page.locator(f"#{button.get_attribute('data-shows')}")
        assert not gallery.is_visible()
        button.press("Enter")  # by keyboard alone
        assert gallery.is_visible()
        assert gallery.locator("img").first.evaluate("image => image.naturalWidth") > 0
        button.press("Enter")
        assert not gallery.is_visible()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_a_request_or_a_complaint(run: Path, scheme: str, visiting: Visiting) -> None:
    with visiting(color_scheme=scheme) as visit:
        visit.open((run / "report.html").as_uri())
        assert (visit.dialogs, visit.outside, visit.complaints) == ([], [], [])


@pytest.mark.browser
def test_everyone_can_read_it_on_any_screen(run: Path, visiting: Visiting) -> None:
    with visiting() as visit:
        visit.open((run / "report.html").as_uri())
        assert visit.faults() == []


@pytest.mark.browser
def test_hostile_names_stay_text(hostile: Path, visiting: Visiting) -> None:
    with visiting() as visit:
        visit.open(hostile.as_uri())
        for button in visit.page.locator("[data-shows]").all():
            button.click()
        text = visit.page.inner_text("body")
        assert (visit.dialogs, visit.outside, visit.complaints) == ([], [], [])
        assert visit.faults(audited=ENDS) == []
    confusion = RunFiles(hostile.parent).best.confusion
    cells = sum(count > 0 for row in confusion for count in row)
    assert hostile.read_text().count("data-shows=") == cells  # images are found under any name
    assert "<img src=x onerror=alert(1)>" in text
    assert "{{7*7}}" in text
    assert "\\x1b[31mred" in text
    assert not {"\x1b", "\u202e"} & set(hostile.read_text())


def test_a_run_whose_images_are_gone_is_still_reported(digits: Path, tmp_path: Path) -> None:
    shutil.copytree(digits, tmp_path / "data")
    regraft.fit(tmp_path / "data", network="lenet5", strategy="probe", out=tmp_path / "run")
    shutil.rmtree(tmp_path / "data")
    text = regraft.write_report(tmp_path / "run", tmp_path / "page.html").read_text()
    assert 'class="big"' in text
    assert "data:image" not in text


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"holds no finished run: run\.json is missing"):
        regraft.write_report(tmp_path)
