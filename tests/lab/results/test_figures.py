from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from regraft.lab.results.figures import interval_bars, stacked_bars
from regraft.records import Estimate


def widths(svg: str) -> list[float]:
    return [float(one) for one in re.findall(r'<rect [^>]*width="([\d.]+)"', svg)]


def test_bars_are_as_long_as_their_values() -> None:
    rows = [("A", [Estimate(value=1), Estimate(value=2)]), ("B", [Estimate(value=0.5), Estimate(value=0)])]
    figure = stacked_bars("t", "Time", "s", rows, ["x", "y"])
    first, second, third, none = widths(figure.svg)
    assert (second, third, none) == pytest.approx((2 * first, first / 2, 0.0), abs=0.02)
    assert figure.rows == (("A", "1.00", "2.00", "3.00"), ("B", "0.500", "0", "0.500"))
    assert figure.key == (("main", "x"), ("second", "y"))


def test_parts_follow_each_other() -> None:
    svg = stacked_bars("t", "Time", "s", [("A", [Estimate(value=1), Estimate(value=2)])], ["x", "y"]).svg
    (one, width), (other, _) = [
        (float(x), float(w)) for x, w in re.findall(r'<rect [^>]*x="([\d.]+)"[^>]*width="([\d.]+)"', svg)
    ]
    assert other == pytest.approx(one + width, abs=0.1)


def test_intervals_stay_on_the_axis() -> None:
    rows = [("A", Estimate(value=0.5, low=-0.5, high=1.5))]
    figure = interval_bars("f", "Found", "AP50, %", rows)
    low, high = re.search(r'class="interval wide" d="M([\d.]+) \d+H([\d.]+)"', figure.svg).groups()  # type: ignore[union-attr]
    assert (float(low), float(high)) == (10, 470)
    assert figure.rows == (("A", "50.0 [0.0, 100.0]"),)


def test_a_figure_of_its_own_says_what_its_colours_mean() -> None:
    rows = [("A", [Estimate(value=1), Estimate(value=2)])]
    figure = stacked_bars("t", "Time", "s", rows, ["network <1>", "heads"])
    text = "".join(ElementTree.fromstring(figure.standalone).itertext())
    assert "network <1>" in text
    assert "heads" in text
    alone, inside = (
        re.findall(r'viewBox="0 0 480 (\d+)"', svg) for svg in (figure.standalone.decode(), figure.svg)
    )
    assert int(alone[0]) > int(inside[0])


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e-9, 0.0], [1e6, 1.0]], ids=str)
def test_any_times_can_be_drawn(values: list[float]) -> None:
    figure = stacked_bars("t", "<&>", "s", [("<A>", [Estimate(value=v) for v in values])], ["x", "y"])
    root = ElementTree.fromstring(figure.standalone)
    assert root.attrib["aria-label"].startswith("<&>")
