"""Scores of predictions, with intervals; pure functions from arrays to records.

Intervals are 95 %. The interval of the accuracy is Wilson's (1927); the others are percentile bootstraps over
the images (Efron 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.records import ClassScores, Estimate, Scores

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

_Z = 1.959963984540054  # the normal distribution's 97.5 % point
_RESAMPLES = 1_000
_BINS = 15


def score(probabilities: Floats, truth: Ints, labels: Sequence[str], *, method: str, seed: int = 0) -> Scores:
    """All scores of one set of predictions.

    Args:
        probabilities: predicted probabilities `(N, K)`; each row sums to one.
        truth: true class numbers `(N,)`.
        labels: names of the K classes.
        method: how the predictions were made, in words; kept in the record.
        seed: random seed of the bootstrap.
    """
    predicted = probabilities.argmax(axis=1).astype(np.int64)
    classes = len(labels)
    confusion = confusion_matrix(truth, predicted, classes)
    surprise = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12))
    top = probabilities.max(axis=1)
    rights = predicted == truth
    draws = np.random.default_rng(seed).integers(0, len(truth), (_RESAMPLES, len(truth)), dtype=np.int32)
    balanced, macro = _resampled_class_scores(truth, predicted, classes, draws)
    return Scores(
        images=len(truth),
        method=method,
        accuracy=wilson(int(rights.sum()), len(truth)),
        balanced_accuracy=_interval(balanced_accuracy(confusion), balanced),
        macro_f1=_interval(macro_f1(confusion), macro),
        log_loss=_interval(float(surprise.mean()), surprise[draws].mean(axis=1)),
        calibration_error=_interval(
            calibration_error(top, rights),
            [calibration_error(top[draw], rights[draw]) for draw in draws[:300]],
        ),
        classes=_class_scores(confusion, labels),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def wilson(successes: int, count: int) -> Estimate:
    """A share with its 95 % score interval (Wilson 1927).

    >>> estimate = wilson(9, 10)
    >>> round(estimate.low, 3), round(estimate.high, 3)
    (0.596, 0.982)
    """
    share = successes / count
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * (share * (1 - share) / count + _Z**2 / (4 * count**2)) ** 0.5
    return Estimate(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half))


def mean_interval(values: Sequence[float]) -> Estimate:
    """The mean of independent draws with its 95 % interval by Student's t; a single draw has no bounds."""
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Estimate(value=mean)
    half = _student(count - 1) * float(np.std(values, ddof=1)) / count**0.5
    return Estimate(value=mean, low=mean - half, high=mean + half)


def _student(freedom: int) -> float:
    """The 97.5 % point of Student's t, by the Cornish-Fisher series (Abramowitz & Stegun 26.7.5)."""
    z, n = _Z, freedom
    if n == 1:
        return 12.706
    if n == 2:
        return 4.303
    terms = [
        z,
        (z**3 + z) / (4 * n),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3),
    ]
    return float(sum(terms))


def confusion_matrix(truth: Ints, predicted: Ints, classes: int) -> Ints:
    """The confusion matrix `(K, K)`: rows are true classes, columns predicted ones."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _recall_precision(confusion: Floats) -> tuple[Floats, Floats]:
    right = np.diagonal(confusion, axis1=-2, axis2=-1).astype(float)
    recall = right / np.maximum(confusion.sum(axis=-1), 1)
    precision = right / np.maximum(confusion.sum(axis=-2), 1)
    return recall, precision


def _f1(recall: Floats, precision: Floats) -> Floats:
    total = recall + precision
    return np.where(total > 0, 2 * recall * precision / np.where(total > 0, total, 1), 0.0)


def balanced_accuracy(confusion: Floats) -> float:
    """Mean recall of the classes that occur among the true ones."""
    occurs = confusion.sum(axis=-1) > 0
    return float(_recall_precision(confusion)[0][occurs].mean())


def macro_f1(confusion: Floats) -> float:
    """Mean F1 of the classes that occur or were predicted."""
    known = (confusion.sum(axis=-1) + confusion.sum(axis=-2)) > 0
    return float(_f1(*_recall_precision(confusion))[known].mean())


def calibration_error(top: Floats, rights: Floats) -> float:
    """Expected calibration error of the predicted class, 15 bins of equal width (Guo et al. 2017, eq. 3)."""
    bins = np.minimum((top * _BINS).astype(np.int64), _BINS - 1)
    confidence = np.bincount(bins, weights=top, minlength=_BINS)
    accuracy = np.bincount(bins, weights=rights.astype(float), minlength=_BINS)
    return float(np.abs(confidence - accuracy).sum() / max(len(top), 1))


def _resampled_class_scores(
    truth: Ints, predicted: Ints, classes: int, draws: npt.NDArray[np.int32]
) -> tuple[Floats, Floats]:
    """Balanced accuracy and macro-F1 of each bootstrap draw, computed from counts by class."""
    balanced, macro = np.empty(len(draws)), np.empty(len(draws))
    rights = truth == predicted
    for number, draw in enumerate(draws):
        own = truth[draw]
        occurs = np.bincount(own, minlength=classes)
        called = np.bincount(predicted[draw], minlength=classes)
        right = np.bincount(own[rights[draw]], minlength=classes)
        recall = right / np.maximum(occurs, 1)
        balanced[number] = recall[occurs > 0].mean()
        macro[number] = _f1(recall, right / np.maximum(called, 1))[(occurs + called) > 0].mean()
    return balanced, macro


def _interval(value: float, draws: Floats | Sequence[float]) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value=value, low=float(min(low, value)), high=float(max(high, value)))


def _class_scores(confusion: Ints, labels: Sequence[str]) -> tuple[ClassScores, ...]:
    recall, precision = _recall_precision(confusion)
    f1 = _f1(recall, precision)
    return tuple(
        ClassScores(
            label=label,
            images=int(confusion[number].sum()),
            precision=float(precision[number]),
            recall=float(recall[number]),
            f1=float(f1[number]),
        )
        for number, label in enumerate(labels)
    )


def majority(train: Ints, count: int, classes: int) -> Floats:
    """Probabilities `(count, K)` of the trivial baseline: class frequencies in training, smoothed by one."""
    frequencies = (np.bincount(train, minlength=classes) + 1.0) / (len(train) + classes)
    return np.tile(frequencies, (count, 1))
