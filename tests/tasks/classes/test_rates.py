from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from regraft.evaluation.intervals.shares import share_estimate, wilson
from regraft.records import Estimate
from regraft.tasks.classes.rates import predictive_value, rates_at


def drawn(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    present = draws.random(count) < 0.2
    return present, np.where(draws.random(count) < 0.8, present, ~present)


def test_the_rates_are_scikit_learns() -> None:
    present, called = drawn()
    rates = rates_at(present, called, threshold=0.3)
    passed, alarms, missed, found = confusion_matrix(present, called).ravel()
    assert (rates.passed, rates.false_alarms, rates.missed, rates.found) == (passed, alarms, missed, found)
    values = [one.value for one in (rates.sensitivity, rates.specificity, rates.ppv, rates.npv) if one]
    scores = [recall_score(present, called), recall_score(~present, ~called)]
    scores += [precision_score(present, called), precision_score(~present, ~called)]
    assert values == pytest.approx(scores, abs=1e-12)


def test_intervals_are_of_the_images_that_a_rate_is_about() -> None:
    present, called = drawn()
    groups = np.arange(300) // 6
    rates = rates_at(present, called, threshold=None, groups=groups)
    assert rates.sensitivity == share_estimate(called[present], groups[present])
    alone = rates_at(present, called, threshold=None)
    assert alone.ppv == wilson(int((present & called).sum()), int(called.sum()))


def test_what_nothing_is_called_has_no_predictive_value() -> None:
    rates = rates_at(np.array([True, False]), np.zeros(2, bool), threshold=0.9, prevalence=0.1)
    assert rates.ppv is None
    assert rates.ppv_at_prevalence is None
    assert rates.npv_at_prevalence is not None
    assert rates.npv_at_prevalence.value == 0.9  # of images that are all called negative


def test_the_prevalence_of_the_images_gives_their_own_predictive_values() -> None:
    present, called = drawn()
    rates = rates_at(present, called, threshold=None, prevalence=float(present.mean()))
    for one, other in ((rates.ppv, rates.ppv_at_prevalence), (rates.npv, rates.npv_at_prevalence)):
        assert one is not None
        assert other is not None
        assert one.value == pytest.approx(other.value, abs=1e-12)


def test_intervals_at_a_prevalence_contain_the_true_value_as_often_as_they_say() -> None:
    """300 studies of 60 positive and 240 negative images: sensitivity .85, specificity .9, prevalence .05."""
    draws, hits = np.random.default_rng(0), 0
    true = 0.05 * 0.85 / (0.05 * 0.85 + 0.95 * 0.1)
    for found, passed in zip(draws.binomial(60, 0.85, 300), draws.binomial(240, 0.9, 300), strict=True):
        value = predictive_value(wilson(int(found), 60), wilson(int(passed), 240), 0.05)
        assert value is not None
        hits += bool((value.low or 0) <= true <= (value.high or 0))
    assert 0.92 <= hits / 300 <= 0.985


def test_a_perfect_share_keeps_a_lower_bound() -> None:
    perfect, share = wilson(240, 240), wilson(51, 60)
    value = predictive_value(share, perfect, 0.02)
    assert value is not None
    assert (value.value, value.high) == (1.0, 1.0)
    assert value.low == pytest.approx(0.02 * share.low / (0.02 * share.low + 0.98 * (1 - perfect.low)))  # type: ignore[operator]


def test_without_bounds_there_are_none() -> None:
    assert predictive_value(Estimate(value=0.5), Estimate(value=0.5), 0.5) == Estimate(value=0.5)
