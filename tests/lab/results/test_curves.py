from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from regraft.lab.results.curves import curves, layers_by_step, shades
from regraft.records import Estimate

TWO = [
    ("a <b>", [(1.0, Estimate(value=0.5, low=0.4, high=0.6)), (2.0, Estimate(value=1.0, low=0.9, high=1.1))]),
    ("c", [(1.0, Estimate(value=0.0)), (2.0, Estimate(value=0.25))]),
]


def test_curves_have_a_table_of_their_numbers() -> None:
    figure = curves("f", "Title", ("step", "share, %"), TWO, times=100.0)
    assert figure.header == ("step", "a <b>", "c")
    assert figure.rows == (("1", "50.0 [40.0, 60.0]", "0.0"), ("2", "100.0 [90.0, 100.0]", "25.0"))
    assert figure.key == (("main", "a <b>"), ("second", "c"))


def test_a_slider_has_a_mark_and_words_for_each_position() -> None:
    figure = curves("f", "Title", ("epoch", "loss"), TWO, slider="epoch")
    assert figure.frames == (
        "epoch 1: a <b> 0.500 [0.400, 0.600]; c 0",
        "epoch 2: a <b> 1.00 [0.900, 1.10]; c 0.250",
    )
    assert re.findall(r'data-frame="(\d)" hidden', figure.svg) == ["0", "1"]


def test_higher_values_are_drawn_higher() -> None:
    marks = curves("f", "Title", ("x", "y"), TWO).svg
    heights = [float(y) for y in re.findall(r'class="dot main" cx="[\d.]+" cy="([\d.]+)"', marks)]
    assert heights[1] < heights[0]


def test_layers_show_the_first_step_and_hide_the_others() -> None:
    figure = layers_by_step("p", "Profile", ("layer", "norm"), {"1": TWO, "5": TWO})
    assert re.findall(r'<g data-frame="(\d)"( hidden="")?>', figure.svg) == [("0", ""), ("1", ' hidden=""')]
    assert figure.frames == ("step 1", "step 5")
    assert figure.rows[0] == ("step 1, a <b>", "0.500 [0.400, 0.600]", "1.00 [0.900, 1.10]")


def test_shades_are_stronger_for_stronger_values() -> None:
    rows = [("r", [Estimate(value=0.0), Estimate(value=1.0)])]
    figure = shades("m", "Matrix", ("x", "y"), rows, strength=lambda one: one)
    low, high = (float(one) for one in re.findall(r'fill-opacity="([\d.]+)"', figure.svg))
    assert low < high
    assert figure.rows == (("r", "0", "1.00"),)


@pytest.mark.parametrize(
    "figure",
    [
        curves("f", "<T>", ("x", "y"), TWO, slider="x"),
        layers_by_step("p", "<T>", ("layer", "norm"), {"1": TWO}),
        shades("m", "<T>", ("x",), [("<r>", [Estimate(value=-3.0)])], strength=abs),
    ],
    ids=lambda one: one.name,
)
def test_figures_are_files_of_their_own(figure: object) -> None:
    root = ElementTree.fromstring(figure.standalone)  # type: ignore[attr-defined]
    assert root.attrib["aria-label"].startswith("<T>")
