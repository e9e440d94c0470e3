from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, cohen_kappa_score, roc_auc_score

from regraft.evaluation.intervals.shares import wilson
from regraft.tasks.classification import Classification


def predicted(classes: int, count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    targets = draws.integers(0, classes, count)
    scores = draws.normal(size=(count, classes)) + np.eye(classes)[targets]
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), targets


def test_each_class_is_scored_against_the_rest() -> None:
    outputs, targets = predicted(4)
    task = Classification(outputs=tuple("abcd"))
    scores = task.score(outputs, targets, method="test")
    for number, one in enumerate(scores.classes):
        assert one.auroc is not None
        expected = roc_auc_score(targets == number, outputs[:, number])
        assert one.auroc.value == pytest.approx(expected, abs=1e-12)
        right = int(((outputs.argmax(axis=1) == number) & (targets == number)).sum())
        assert one.recall_interval == wilson(right, int((targets == number).sum()))
    assert scores.auroc is not None
    assert scores.auroc.value == pytest.approx(roc_auc_score(targets, outputs, multi_class="ovr"), abs=1e-12)
    assert (scores.auroc.low or 0) < scores.auroc.value < (scores.auroc.high or 0)


def test_the_positive_class_has_its_own_scores() -> None:
    outputs, targets = predicted(2)
    task = Classification(outputs=("ill", "well"), positive="ill", prevalence=0.02)
    scores = task.score(outputs, targets, method="test")
    two = scores.two_classes
    assert two is not None
    assert two.average_precision is not None
    assert scores.auroc is not None
    ill, chances = targets == 0, outputs[:, 0]
    assert scores.auroc.value == pytest.approx(roc_auc_score(ill, chances), abs=1e-12)
    assert two.average_precision.value == pytest.approx(average_precision_score(ill, chances), abs=1e-12)
    assert (two.positives, two.largest.found) == (ill.sum(), (ill & (chances > 0.5)).sum())
    assert two.largest.ppv_at_prevalence is not None


def test_groups_make_intervals_wider() -> None:
    """Each image four times, as a group: the same values, and intervals as of the images once, about."""
    outputs, targets = predicted(2, 60)
    task = Classification(outputs=("ill", "well"), positive="ill")
    once = task.score(outputs, targets, method="test")
    names = [str(number) for number in np.repeat(np.arange(60), 4)]
    often = task.score(np.repeat(outputs, 4, axis=0), np.repeat(targets, 4), method="test", groups=names)
    for one, other in (
        (once.auroc, often.auroc),
        (once.two_classes.average_precision, often.two_classes.average_precision),  # type: ignore[union-attr]
        (once.two_classes.largest.sensitivity, often.two_classes.largest.sensitivity),  # type: ignore[union-attr]
    ):
        assert one is not None
        assert other is not None
        assert one.value == pytest.approx(other.value)
        width = (one.high or 0) - (one.low or 0)
        assert (other.high or 0) - (other.low or 0) == pytest.approx(width, rel=0.35)


def test_ordered_classes_have_scikit_learns_kappa() -> None:
    outputs, targets = predicted(3)
    task = Classification(outputs=("high", "low", "mid"), ordered=("low", "mid", "high"))
    kappa = task.score(outputs, targets, method="test").quadratic_kappa
    place = np.array([2, 0, 1])
    expected = cohen_kappa_score(place[targets], place[outputs.argmax(axis=1)], weights="quadratic")
    assert kappa is not None
    assert kappa.value == pytest.approx(expected, abs=1e-12)
    assert (kappa.low or 0) < kappa.value < (kappa.high or 0)
