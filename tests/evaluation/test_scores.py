from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from regraft.evaluation.intervals.shares import wilson
from regraft.evaluation.scores import calibration_error, majority, mean_interval, score


def example(count: int = 300, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, classes, count)
    scores = generator.normal(size=(count, classes))
    scores[np.arange(count), truth] += 1
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), truth


@pytest.mark.slow
@given(st.integers(2, 6), st.integers(5, 60), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_scores_equal_those_of_scikit_learn(classes: int, count: int, seed: int) -> None:
    probabilities, truth = example(count, classes, seed)
    predicted = probabilities.argmax(axis=1)
    labels = [f"c{n}" for n in range(classes)]
    ours = score(probabilities, truth, labels, method="test")
    present = np.unique(truth)
    assert ours.accuracy.value == pytest.approx(metrics.accuracy_score(truth, predicted))
    recall = metrics.recall_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert ours.balanced_accuracy.value == pytest.approx(recall)
    assert ours.macro_f1.value == pytest.approx(
        metrics.f1_score(truth, predicted, average="macro", zero_division=0)
    )
    loss = metrics.log_loss(truth, probabilities, labels=range(classes))
    assert ours.log_loss.value == pytest.approx(loss)
    matrix = metrics.confusion_matrix(truth, predicted, labels=range(classes))
    assert np.array_equal(ours.confusion, matrix)


def test_wilson_by_hand() -> None:
    """8 of 10: centre (0.8 + 0.19207) / 1.38415, half-width 1.95996 / 1.38415 * sqrt(0.016 + 0.0096035)."""
    estimate = wilson(8, 10)
    assert estimate.value == 0.8
    assert estimate.low == pytest.approx(0.4902, abs=1e-4)
    assert estimate.high == pytest.approx(0.9433, abs=1e-4)


@pytest.mark.parametrize(("right", "count"), [(0, 5), (5, 5)])
def test_wilson_stays_within_zero_and_one(right: int, count: int) -> None:
    estimate = wilson(right, count)
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("trials", "least"), [(50, 44), pytest.param(100, 88, marks=pytest.mark.soak)])
def test_the_bootstrap_interval_covers_as_often_as_it_says(trials: int, least: int) -> None:
    """Balanced accuracy of a classifier that is right with probability 0.7: 95 % of intervals hold 0.7."""
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(trials):
        truth = generator.integers(0, 2, 200)
        right = generator.random(200) < 0.7
        predicted = np.where(right, truth, 1 - truth)
        probabilities = np.eye(2)[predicted] * 0.8 + 0.1
        interval = score(probabilities, truth, ["a", "b"], method="test").balanced_accuracy
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= 0.7 <= interval.high
    assert least <= hits <= trials


def test_calibration_error_by_hand() -> None:
    """Four predictions at 0.95 of which three are right: |0.95 - 0.75|."""
    assert calibration_error(np.full(4, 0.95), np.array([1, 1, 1, 0], dtype=bool)) == pytest.approx(0.2)


def test_majority_by_hand() -> None:
    """Class counts 3 and 1, smoothed: 4/6 and 2/6."""
    assert np.allclose(majority(np.array([0, 0, 0, 1]), 2, 2), [[4 / 6, 2 / 6]] * 2)


def test_the_mean_interval_equals_students() -> None:
    """t(0.975, 4) = 2.776: mean 3, deviation sqrt(2.5), half-width 2.776 sqrt(2.5 / 5)."""
    estimate = mean_interval([1, 2, 3, 4, 5])
    assert estimate.low == pytest.approx(3 - 2.776 * 0.5**0.5, abs=0.01)
    assert mean_interval([1.0]).low is None


def test_scores_do_not_depend_on_the_run() -> None:
    probabilities, truth = example()
    one = score(probabilities, truth, list("abcd"), method="test", seed=3)
    assert one == score(probabilities, truth, list("abcd"), method="test", seed=3)
