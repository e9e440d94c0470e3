"""Scores of predictions, with intervals; pure functions from arrays to records.

Intervals are 95 %. The interval of the accuracy is Wilson's (1927); the others are percentile bootstraps over
the images (Efron 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.records import ClassScores, Estimate, Scores

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

_Z = 1.959963984540054  # the normal distribution's 97.5 % point
_RESAMPLES = 1_000
MATRIX_MAX = 100  # classes; a matrix of more would be nearly all zeros and many megabytes
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
    counts = class_counts(truth, predicted, classes)
    cells = confusion_cells(truth, predicted, classes)
    surprise = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12))
    top = probabilities.max(axis=1)
    rights = predicted == truth
    draws = np.random.default_rng(seed).integers(0, len(truth), (_RESAMPLES, len(truth)), dtype=np.int32)
    balanced, macro = _resampled_class_scores(truth, predicted, classes, draws)
    return Scores(
        images=len(truth),
        method=method,
        accuracy=wilson(int(rights.sum()), len(truth)),
        balanced_accuracy=_interval(balanced_accuracy(counts), balanced),
        macro_f1=_interval(macro_f1(counts), macro),
        log_loss=_interval(float(surprise.mean()), surprise[draws].mean(axis=1)),
        calibration_error=_interval(
            calibration_error(top, rights),
            [calibration_error(top[draw], rights[draw]) for draw in draws[:300]],
        ),
        classes=_class_scores(counts, labels),
        confusion=_matrix(cells, classes) if classes <= MATRIX_MAX else (),
        confused=() if classes <= MATRIX_MAX else cells,
    )


def wilson(successes: float, count: int) -> Estimate:
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


@dataclass(frozen=True)
class ClassCounts:
    """How often each class occurs, is predicted, and is predicted rightly; `(K,)` each."""

    occurs: Ints
    called: Ints
    right: Ints

    @property
    def recall(self) -> Floats:
        """Share of the images of each class that are predicted rightly; 0 for a class without images."""
        return self.right / np.maximum(self.occurs, 1)

    @property
    def precision(self) -> Floats:
        """Share of the predictions of each class that are right; 0 for a class that is never predicted."""
        return self.right / np.maximum(self.called, 1)

    @property
    def f1(self) -> Floats:
        """Harmonic mean of recall and precision; 0 where both are 0."""
        total = self.occurs + self.called
        result: Floats = 2 * self.right / np.maximum(total, 1)
        return result


def class_counts(truth: Ints, predicted: Ints, classes: int) -> ClassCounts:
    """The counts of each class, from class numbers `(N,)`."""
    return ClassCounts(
        np.bincount(truth, minlength=classes),
        np.bincount(predicted, minlength=classes),
        np.bincount(truth[truth == predicted], minlength=classes),
    )


def confusion_cells(truth: Ints, predicted: Ints, classes: int) -> tuple[tuple[int, int, int], ...]:
    """The cells of the confusion matrix that are not zero: (true class, predicted class, images).

    >>> confusion_cells(np.array([0, 0, 1]), np.array([1, 1, 1]), 2)
    ((0, 1, 2), (1, 1, 1))
    """
    places, counts = np.unique(truth * classes + predicted, return_counts=True)
    return tuple(
        (place // classes, place % classes, count)
        for place, count in zip(places.tolist(), counts.tolist(), strict=True)
    )


def _matrix(cells: Sequence[tuple[int, int, int]], classes: int) -> tuple[tuple[int, ...], ...]:
    rows = [[0] * classes for _ in range(classes)]
    for true, predicted, count in cells:
        rows[true][predicted] = count
    return tuple(tuple(row) for row in rows)


def balanced_accuracy(counts: ClassCounts) -> float:
    """Mean recall of the classes that occur among the true ones."""
    return float(counts.recall[counts.occurs > 0].mean())


def macro_f1(counts: ClassCounts) -> float:
    """Mean F1 of the classes that occur or were predicted."""
    return float(counts.f1[(counts.occurs + counts.called) > 0].mean())


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
    for number, draw in enumerate(draws):
        counts = class_counts(truth[draw], predicted[draw], classes)
        balanced[number], macro[number] = balanced_accuracy(counts), macro_f1(counts)
    return balanced, macro


def _interval(value: float, draws: Floats | Sequence[float]) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(value=value, low=float(min(low, value)), high=float(max(high, value)))


def _class_scores(counts: ClassCounts, labels: Sequence[str]) -> tuple[ClassScores, ...]:
    recall, precision, f1 = counts.recall, counts.precision, counts.f1
    return tuple(
        ClassScores(
            label=label,
            images=int(counts.occurs[number]),
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
