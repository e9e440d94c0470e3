from __future__ import annotations

from pathlib import Path

import pytest

from regraft.cli.app import run as command
from regraft.networks.counting import describe_network
from regraft.networks.zoo.cards import card
from regraft.reports.architecture_page import write_architecture
from tests.browser import Visiting


@pytest.mark.browser
@pytest.mark.parametrize(("name", "cut"), [("lenet5", "f6"), ("resnet152", "50%")])
def test_blocks_can_be_chosen_by_mouse_and_by_keyboard(
    name: str, cut: str, tmp_path: Path, visiting: Visiting
) -> None:
    known = card(name)
    assert known is not None
    page = write_architecture(known, tmp_path / "net.html", cut=cut)
    with visiting() as visit:
        visit.open(page.as_uri())
        blocks = visit.page.locator("[data-shows]")
        assert blocks.count() == len(known.stages) + 1
        blocks.first.focus()
        visit.page.keyboard.press("ArrowRight")
        shown = visit.page.locator("[data-panel]:visible h2")
        assert shown.inner_text() == [*known.stages, known.classifier][1].name
        blocks.last.locator("rect").click()
        assert shown.inner_text() == "classifier"
        assert visit.page.locator(".box.new").count() == 3
        assert (visit.dialogs, visit.outside, visit.complaints) == ([], [], [])
        assert visit.faults() == []


def test_deeper_stages_are_lower_and_thicker() -> None:
    from regraft.reports.architecture_page import _blocks

    blocks = _blocks(describe_network("vgg16"), 2, {})
    sides = [block.side for block in blocks]
    assert sides == sorted(sides, reverse=True)
    assert [block.state for block in blocks[:3]] == ["frozen", "frozen", "trained"]
    assert blocks[-1].state == "new"
    assert sum(block.share for block in blocks) == pytest.approx(1.0)


def test_an_image_shows_what_every_stage_makes_of_it(digits: Path, tmp_path: Path) -> None:
    image = sorted(digits.rglob("*.png"))[0]
    assert command(["zoo", "show", "lenet5", "--html", str(tmp_path / "n.html"), "--image", str(image)]) == 0
    text = (tmp_path / "n.html").read_text()
    assert text.count("<image href=") >= 2
    assert "map of channel" in text


def test_a_cut_without_a_page_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["zoo", "show", "lenet5", "--cut", "c3"]) == 2
    assert "--cut and --image are for the page" in capsys.readouterr().err
