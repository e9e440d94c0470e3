from __future__ import annotations

from pathlib import Path

import pytest

from regraft.cli.app import run as command
from regraft.networks.counting import describe_network
from regraft.networks.zoo.cards import card
from regraft.networks.zoo.catalogues import find_recipe
from regraft.reports.architecture.drawing import drawn, layout
from regraft.reports.architecture.wiring import Block, Operation, wiring
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


@pytest.mark.parametrize("name", ["lenet5", "vgg16", "googlenet", "resnet50", "resnet152", "mobilenetv2_100"])
def test_the_work_inside_is_what_the_card_counts(name: str) -> None:
    known = card(name)
    assert known is not None
    for stage, blocks in zip(
        (*known.stages, known.classifier), wiring(known.recipe, known.input_spec), strict=True
    ):
        inside = sum(block.times * one.multiply_adds for block in blocks for one in block.operations)
        assert (stage.name, inside) == (stage.name, stage.multiply_adds)


def test_shortcuts_and_branches_are_found() -> None:
    _, first, *_ = wiring(*find_recipe("resnet50"))
    assert [(block.times, block.about) for block in first] == [
        (1, "shortcut through a layer"),
        (2, "shortcut"),
    ]
    inception = wiring(*find_recipe("googlenet"))[3]
    assert [block.about for block in inception] == ["4 branches"]
    assert [one.label for one in inception[0].operations if one.is_join] == ["concat"]


@pytest.mark.parametrize("name", ["googlenet", "resnet50", "squeezenet1_1"])
def test_no_two_operations_are_drawn_on_each_other(name: str) -> None:
    for blocks in wiring(*find_recipe(name)):
        for block in blocks:
            cells = list(layout(block).cells.values())
            assert len(set(cells)) == len(cells)


def test_too_many_operations_are_not_drawn() -> None:
    chain = tuple(Operation("3 × 3 conv", (8, 4, 4), (place - 1,)) for place in range(41))
    assert drawn([Block(chain[:40])], name="long")
    assert drawn([Block(chain)], name="longer") == ""


def test_an_image_shows_what_every_stage_makes_of_it(digits: Path, tmp_path: Path) -> None:
    image = sorted(digits.rglob("*.png"))[0]
    assert command(["zoo", "show", "lenet5", "--html", str(tmp_path / "n.html"), "--image", str(image)]) == 0
    text = (tmp_path / "n.html").read_text()
    assert text.count("<image href=") >= 2
    assert "map of channel" in text


def test_a_cut_without_a_page_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["zoo", "show", "lenet5", "--cut", "c3"]) == 2
    assert "--cut and --image are for the page" in capsys.readouterr().err
