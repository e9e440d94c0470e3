from __future__ import annotations

import re

import numpy as np
import pytest

from regraft.evaluation.detection_scores import DetectedClass
from regraft.evaluation.operating_points import OperatingPoint
from regraft.records import Estimate
from regraft.reports.charts import Chart
from regraft.reports.detection.curves import Curve
from regraft.reports.detection.object_counts import Counts
from regraft.reports.detection_charts import bar, counts_chart, curve_chart, hundred, whisker


@pytest.mark.parametrize(("share", "full"), [(0, 0), (0.404, 40), (1, 100)])
def test_of_a_hundred_dots_the_share_is_full(share: float, full: int) -> None:
    paths = dict(re.findall(r'<path class="(\w+)" d="([^"]*)"', hundred(share)))
    assert paths.get("full", "").count("M") == full
    assert paths.get("empty", "").count("M") == 100 - full


def test_a_whisker_reaches_from_bound_to_bound() -> None:
    drawn = whisker(Estimate(value=0.5, low=0.0, high=1.0))
    assert 'd="M5.0 8H115.0"' in drawn
    assert 'cx="60.0"' in drawn
    assert whisker(None) == ""


def test_a_bar_stays_in_its_cell() -> None:
    assert 'width="120.0"' in bar(7.0, "bad")


def test_a_band_is_closed_and_follows_both_bounds() -> None:
    chart = Chart("t", "x", "y", (0, 1), (0, 1), width=180, height=154)
    chart.band([(0, 0, 1), (1, 0, 1)], "main")
    assert chart.marks == ['<path class="band main" d="M66.0 10.0 166.0 10.0 L166.0 110.0 66.0 110.0Z"/>']


def curve(precision: list[float], threshold: float | None) -> Curve:
    values = np.array(precision + [0.0] * (101 - len(precision)))
    point = OperatingPoint(
        threshold=threshold, right=1, wrong=1, missed=1, f1=None,
        precision=Estimate(value=0.5), recall=Estimate(value=0.25),
    )  # fmt: skip
    scores = DetectedClass(label="<b>", true_boxes=2, map=None, map50=None, map75=None, point=point)
    return Curve("<b>", scores, values, values, values)


def test_a_curve_falls_where_no_more_is_found_and_has_its_threshold() -> None:
    drawn = curve_chart(curve([1.0] * 51, 0.4))
    line = re.search(r'class="line main" d="([^"]*)"', drawn)
    assert line is not None
    *_, before, last = re.findall(r"[ML]([\d.]+) ([\d.]+)", line[1])
    assert before[0] == last[0]
    assert float(last[1]) > float(before[1])
    assert "threshold 0.40: recall 25.0 %, precision 50.0 %" in drawn
    assert "&lt;b&gt;" in drawn


def test_a_curve_without_anything_found_is_empty() -> None:
    drawn = curve_chart(curve([], None))
    assert "band" not in drawn
    assert "circle" not in drawn


def test_pictures_with_equal_counts_share_a_dot() -> None:
    drawn = counts_chart(Counts(np.array([2, 2, 3]), np.array([1, 1, 3]), []))
    assert drawn.count("<circle") == 2
    assert "2 pictures: 1 shown, 2 there" in drawn


def test_very_different_counts_are_rounded_to_few_dots() -> None:
    generator = np.random.default_rng(0)
    drawn = counts_chart(Counts(generator.integers(0, 500, 4_000), generator.integers(0, 500, 4_000), []))
    assert 50 < drawn.count("<circle") <= 600
    assert "about " in drawn
