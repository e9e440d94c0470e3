"""The page of a detector in Chromium: boxes over pictures, counts, tables to download."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import ENDS, Visit, Visiting
from tests.serving.detection.graphs import LABELS, picture
from tests.serving.test_server import Server

pytestmark = [pytest.mark.children, pytest.mark.browser]


@pytest.fixture
def visit(detector_server: Server, visiting: Visiting) -> Iterator[Visit]:
    with visiting(viewport={"width": 1000, "height": 800}, accept_downloads=True) as found:
        found.open(detector_server.url)
        yield found


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two pictures; the faint box of every picture is found in the bright one alone."""
    for name, width, level in (("dark.png", 320, 0), ("bright.png", 96, 255)):
        (tmp_path / name).write_bytes(picture(width, 240, level))
    return [tmp_path / "dark.png", tmp_path / "bright.png"]


def answered(visit: Visit, files: list[Path]) -> None:
    visit.page.set_input_files("#files", files)
    visit.page.locator("#status", has_text="done").wait_for(timeout=60_000)


def slide(visit: Visit, percent: int) -> None:
    visit.page.locator("#least").fill(str(percent))
    visit.page.locator("#shown", has_text=f"{percent} %").wait_for()


def downloaded(visit: Visit, button: str) -> list[list[str]]:
    with visit.page.expect_download() as download:
        visit.page.click(button)
    return list(csv.reader(Path(download.value.path()).read_text().splitlines()))


def legend(visit: Visit) -> list[list[str]]:
    rows = visit.page.locator("#legend tbody tr")
    return [rows.nth(place).locator("th, td").all_inner_texts() for place in range(rows.count())]


def frames(visit: Visit, name: str) -> list[dict[str, Any]]:
    """The coloured outlines over a picture, on the screen, as shares of the picture's place there."""
    return visit.page.locator(".card", has_text=name).evaluate(
        """card => {
          const whole = card.querySelector(".image").getBoundingClientRect();
          const lines = [...card.querySelectorAll('.overlay rect[fill="none"]:not([stroke="#000"])')];
          return lines.map((line) => {
            const one = line.getBoundingClientRect();
            return [(one.left - whole.left) / whole.width, (one.top - whole.top) / whole.height,
              (one.right - whole.left) / whole.width, (one.bottom - whole.top) / whole.height];
          });
        }"""
    )


def test_boxes_lie_over_the_picture_where_they_belong(visit: Visit, files: list[Path]) -> None:
    answered(visit, files)
    crystal, cell = frames(visit, "dark.png")
    assert cell == pytest.approx([0, 0, 0.5, 0.5], abs=0.02)
    assert crystal == pytest.approx([0.25, 0.5, 1, 1], abs=0.02)
    assert visit.page.locator(".sum").first.inner_text() == f"1 cell, 1 {LABELS[1]}"
    assert legend(visit) == [["cell", "2", "2", "50 %"], [LABELS[1], "2", "2", "25 %"]]
    assert visit.faults() == []
    assert (visit.dialogs, visit.complaints) == ([], [])


def test_the_threshold_filters_without_asking_again(visit: Visit, files: list[Path]) -> None:
    answered(visit, files)
    asked = len(visit.requests)
    slide(visit, 2)
    assert [row[1] for row in legend(visit)] == ["4", "3"]
    assert (len(frames(visit, "dark.png")), len(frames(visit, "bright.png"))) == (3, 4)
    slide(visit, 60)
    assert [row[1:] for row in legend(visit)] == [["2", "2", "60 %"], ["0", "0", "60 %"]]
    visit.page.check("#own")
    visit.page.locator("#shown", has_text="own thresholds: 4 boxes in 2 pictures").wait_for()
    assert len(visit.requests) == asked


def test_counts_become_a_table(visit: Visit, files: list[Path], notes: Path) -> None:
    answered(visit, [*files, notes])
    rows = {row[0]: row[1:] for row in downloaded(visit, "#counts")}
    assert rows["path"] == ["boxes", "cell", LABELS[1], "error"]
    assert rows["dark.png"] == rows["bright.png"] == ["2", "1", "1", ""]
    assert rows["'=notes().png"][:3] == ["", "", ""]
    assert "not an image of an accepted format" in rows["'=notes().png"][3]
    assert rows["total"] == ["4", "2", "2", ""]


def test_boxes_that_are_shown_become_a_table(visit: Visit, files: list[Path]) -> None:
    answered(visit, files[:1])
    rows = downloaded(visit, "#csv")
    assert rows == [
        ["path", "label", "score", "x_min", "y_min", "x_max", "y_max"],
        ["dark.png", "cell", "0.75", "0", "0", "160", "120"],
        ["dark.png", LABELS[1], "0.375", "80", "120", "320", "240"],
    ]
    slide(visit, 90)
    assert downloaded(visit, "#csv")[1:] == [["dark.png", *[""] * 6]]


def test_boxes_are_listed_for_those_who_do_not_see_them(visit: Visit, files: list[Path]) -> None:
    answered(visit, files[:1])
    assert visit.page.get_by_role("img", name="boxes in dark.png: 1 cell").count() == 1
    visit.page.locator("summary").focus()
    visit.page.keyboard.press("Enter")
    row = visit.page.locator(".list tbody tr").first
    row.wait_for()
    assert row.locator("td").all_inner_texts() == ["cell", "75 %", "0", "0", "160", "120"]
    assert visit.faults(audited=ENDS) == []


def test_the_keyboard_moves_the_threshold(visit: Visit, files: list[Path]) -> None:
    answered(visit, files[:1])
    reached = set()
    for _ in range(12):
        visit.page.keyboard.press("Tab")
        reached.add(visit.page.evaluate("document.activeElement.id"))
    assert {"files", "camera", "least", "own", "tags", "counts", "csv", "clear"} <= reached
    visit.page.locator("#least").focus()
    visit.page.keyboard.press("End")
    visit.page.locator("#shown", has_text="100 %: 0 boxes in 1 picture").wait_for()


def test_a_picture_that_the_browser_does_not_know_has_its_boxes(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "scan.tiff").write_bytes(picture(320, 240, kind="TIFF"))
    answered(visit, [tmp_path / "scan.tiff"])
    visit.page.locator(".problem", has_text="can't show a picture of this format").wait_for()
    assert visit.page.locator(".overlay rect").count() > 0
    scene = visit.page.locator(".scene").bounding_box()
    assert scene["width"] / scene["height"] == pytest.approx(4 / 3, abs=0.02)


def test_clearing_begins_anew(visit: Visit, files: list[Path]) -> None:
    answered(visit, files)
    visit.page.click("#clear")
    assert visit.page.locator(".card").count() == 0
    answered(visit, files[:1])
    visit.page.locator("#status", has_text="1 image done").wait_for()
    assert [row[1] for row in legend(visit)] == ["1", "1"]


@pytest.mark.parametrize("width_px", [1100, 800])
def test_the_list_of_boxes_of_a_large_photo_needs_no_sideways_scrolling(
    visit: Visit, files: list[Path], width_px: int
) -> None:
    visit.page.set_viewport_size({"width": width_px, "height": 800})
    answered(visit, files[:1])
    visit.page.locator("summary").click()
    visit.page.locator(".list tbody tr").first.wait_for()
    missing_px = visit.page.locator("details .scroll").evaluate(
        """list => {
          for (const row of list.querySelectorAll("tbody tr"))
            for (const cell of [...row.cells].slice(1)) cell.textContent = "4032";
          return list.scrollWidth - list.clientWidth;
        }"""
    )
    assert missing_px <= 0
