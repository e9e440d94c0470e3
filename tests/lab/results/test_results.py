from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from regraft.lab.results.results import Results
from tests.lab.examples import rows_of

TIMES = {"slow": {"s": [2.0, 3.0, 5.0]}, "fast": {"s": [1.0, 1.0, 2.0]}}


def test_a_mean_has_students_interval() -> None:
    one = rows_of(TIMES).estimate("slow", "s")
    low, high = stats.t.interval(0.95, 2, loc=10 / 3, scale=stats.sem([2, 3, 5]))
    assert (one.value, one.low, one.high) == pytest.approx((10 / 3, low, high), rel=1e-3)


def test_comparisons_are_paired_by_draw() -> None:
    results = rows_of(TIMES)
    gap, ratio = results.difference("slow", "fast", "s"), results.ratio("slow", "fast", "s")
    low, high = stats.t.interval(0.95, 2, loc=2, scale=stats.sem([1, 2, 3]))
    assert (gap.value, gap.low, gap.high) == pytest.approx((2, low, high), rel=1e-3)
    logs = np.log([2, 3, 2.5])
    low, high = np.exp(stats.t.interval(0.95, 2, loc=logs.mean(), scale=stats.sem(logs)))
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((15 ** (1 / 3), low, high), rel=1e-3)


def test_a_single_draw_has_its_own_interval_and_none_for_comparisons() -> None:
    results = rows_of({"slow": {"s": [2.0]}, "fast": {"s": [1.0]}})
    assert results.difference("slow", "fast", "s").low is None
    assert results.ratio("slow", "fast", "s").high is None


def test_only_draws_that_every_arm_has_count() -> None:
    rows = rows_of(TIMES).rows
    results = Results("x", rows[:-1])
    assert results.seeds == (0, 1)
    assert results.estimate("slow", "s").value == 2.5
    assert results.table().num_rows == 5


def test_an_unknown_measure_is_an_error() -> None:
    with pytest.raises(KeyError, match="slow has no measure minutes"):
        rows_of(TIMES).estimate("slow", "minutes")


def test_no_rows_are_an_empty_table() -> None:
    assert Results("x", ()).table().num_rows == 0
