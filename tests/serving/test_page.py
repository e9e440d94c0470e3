from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Visit, Visiting
from tests.serving.test_server import Server, started

pytestmark = [pytest.mark.children, pytest.mark.browser]


@pytest.fixture(scope="module")
def server(probe: Path) -> Iterator[Server]:
    with started(probe) as found:
        yield found


@pytest.fixture
def visit(server: Server, visiting: Visiting) -> Iterator[Visit]:
    with visiting(viewport={"width": 1000, "height": 800}, accept_downloads=True) as found:
        found.open(server.url)
        yield found


def answered(visit: Visit, count: int) -> None:
    visit.page.locator("#status", has_text="done").wait_for(timeout=30_000)
    assert visit.page.locator(".card").count() == count


def test_chosen_files_are_labelled_with_bars_overlays_and_neighbours(visit: Visit, digits: Path) -> None:
    files = [sorted((digits / label).glob("*.png"))[2] for label in ("5", "6")]
    visit.page.set_input_files("#files", files)
    answered(visit, 2)
    card = visit.page.locator(".card", has_text=files[1].name)
    assert card.locator("tr").first.inner_text().startswith("6")
    assert card.locator("progress").count() == 3
    assert card.locator(".overlay").evaluate("image => image.naturalWidth") > 0
    assert card.locator(".alike li").count() == 5
    assert visit.faults() == []
    assert (visit.dialogs, visit.complaints) == ([], [])
    assert all(url.startswith((visit.page.url, "blob:", "data:")) for url in visit.requests)


def test_a_wrong_file_gets_a_sentence(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "<b>notes.png").write_text("no image")
    visit.page.set_input_files("#files", tmp_path / "<b>notes.png")
    answered(visit, 1)
    said = visit.page.locator(".problem").inner_text()
    assert said.startswith("This file can't be used: not an image of an accepted format")
    assert visit.page.locator(".name").inner_text() == "<b>notes.png"


def test_many_files_become_a_table_to_download(visit: Visit, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "=cmd().png").write_text("no image")
    files = sorted(digits.rglob("*.png"))[:12]
    visit.page.set_input_files("#files", [*files, tmp_path / "=cmd().png"])
    answered(visit, 13)
    with visit.page.expect_download() as download:
        visit.page.click("#csv")
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 14
    assert lines[0] == "name,label,probability,error"
    assert sum(line.startswith('"\'=cmd().png","",""') for line in lines) == 1
    visit.page.click("#clear")
    assert visit.page.locator(".card").count() == 0


def test_a_dropped_and_a_pasted_image_are_labelled(visit: Visit, digits: Path) -> None:
    data = list(sorted((digits / "7").glob("*.png"))[0].read_bytes())
    for event in ("drop", "paste"):
        visit.page.evaluate(
            """([event, data]) => {
              const carried = new DataTransfer();
              carried.items.add(new File([new Uint8Array(data)], event + ".png", { type: "image/png" }));
              const made = event === "drop"
                ? new DragEvent("drop", { dataTransfer: carried, bubbles: true })
                : new ClipboardEvent("paste", { clipboardData: carried, bubbles: true });
              document.getElementById("drop").dispatchEvent(made);
            }""",
            [event, data],
        )
    visit.page.locator("#status", has_text="2 images done").wait_for(timeout=30_000)
    assert visit.page.locator(".card tr:first-child th").all_inner_texts() == ["7", "7"]


def test_the_keyboard_reaches_everything(visit: Visit) -> None:
    reached = set()
    for _ in range(4):
        visit.page.keyboard.press("Tab")
        reached.add(visit.page.locator(":focus").get_attribute("id"))
    assert {"files", "camera", "explain", "alike"} <= reached


def test_the_page_asks_for_the_token(probe: Path, visiting: Visiting) -> None:
    with started(probe, REGRAFT_TOKEN="a token of some length") as guarded, visiting() as visit:
        visit.open(guarded.url)
        visit.page.locator("#key").wait_for()
        visit.page.fill("#token", "a token of some length")
        visit.page.keyboard.press("Enter")
        visit.page.locator("#about", has_text="3 classes").wait_for()
        assert not visit.page.locator("#key").is_visible()
