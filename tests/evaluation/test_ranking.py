from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from regraft.evaluation.ranking import auroc, auroc_estimate, average_precision, average_precision_estimate
from regraft.evaluation.resampling import bootstrap_counts


def example(count: int, seed: int, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    present = draws.random(count) < 0.4
    present[:2] = [True, False]
    return (draws.normal(size=count) + gain * present).round(1), present


@given(st.integers(2, 40), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_both_equal_scikit_learns_with_ties(count: int, seed: int) -> None:
    scores, present = example(count, seed)
    assert auroc(scores, present)[0] == pytest.approx(metrics.roc_auc_score(present, scores))
    expected = metrics.average_precision_score(present, scores)
    assert average_precision(scores, present)[0] == pytest.approx(expected)


def test_counts_are_repeated_images() -> None:
    scores, present = example(30, 1)
    (counts,) = bootstrap_counts(30, draws=5, seed=0)
    for row, area, precision in zip(
        counts, auroc(scores, present, counts), average_precision(scores, present, counts), strict=True
    ):
        drawn = np.repeat(np.arange(30), row.astype(int))
        assert area == pytest.approx(metrics.roc_auc_score(present[drawn], scores[drawn]))
        assert precision == pytest.approx(metrics.average_precision_score(present[drawn], scores[drawn]))


@pytest.mark.parametrize("present", [True, False])
def test_a_label_with_one_kind_of_image_is_not_defined(present: bool) -> None:
    scores, labels = np.arange(4.0), np.full(4, present)
    assert np.isnan(auroc(scores, labels)[0])
    assert np.isnan(average_precision(scores, labels)[0])
    assert auroc_estimate(scores, labels) is None
    assert average_precision_estimate(scores, labels) is None


def test_a_perfect_ranking_of_few_images_has_a_wide_interval() -> None:
    present = np.arange(20) >= 15
    area, precision = (
        auroc_estimate(np.arange(20.0), present),
        average_precision_estimate(np.arange(20.0), present),
    )
    for estimate, most in ((area, 0.9), (precision, 0.7)):
        assert estimate is not None
        assert estimate.low is not None
        assert (estimate.value, estimate.high) == (1.0, 1.0)
        assert estimate.low < most


@pytest.mark.parametrize("gain", [0.0, 1.0, 2.5])
def test_the_interval_of_the_auroc_covers_the_true_one_as_often_as_it_says(gain: float) -> None:
    """Scores normal with unit variance, means `gain` apart: the true area is Phi(gain / sqrt 2)."""
    from math import erf

    true, draws, hits = 0.5 + 0.5 * erf(gain / 2), np.random.default_rng(0), 0
    present = np.arange(80) < 20
    for _ in range(300):
        estimate = auroc_estimate(draws.normal(size=80) + gain * present, present)
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= true <= estimate.high
    assert 275 <= hits <= 298


def test_the_interval_of_the_average_precision_covers_the_true_one_as_often_as_it_says() -> None:
    draws, hits = np.random.default_rng(0), 0
    large = np.arange(200_000) < 50_000
    true = average_precision(draws.normal(size=len(large)) + 1.5 * large, large)[0]
    present = np.arange(80) < 20
    for _ in range(300):
        estimate = average_precision_estimate(draws.normal(size=80) + 1.5 * present, present)
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= true <= estimate.high
    assert hits >= 275
