"""Scores of predictions, with intervals; pure functions from arrays to records.

Intervals are 95 %. The interval of the accuracy is Wilson's (1927); the others are percentile bootstraps over
the images (Efron 1979). Where images belong together, all of them are about whole groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.evaluation.intervals.groups import Ints, by_group, group_numbers, number_of_groups, student
from regraft.evaluation.intervals.shares import share_estimate
from regraft.evaluation.resampling import bootstrap_counts, percentile_interval
from regraft.records import ClassScores, Estimate, Scores

Floats = npt.NDArray[Any]

_RESAMPLES = 1_000
MATRIX_MAX = 100  # classes; a matrix of more would be nearly all zeros and many megabytes
_BINS = 15
_BLOCK_ROWS = 4_096
_CALIBRATION_RESAMPLES = 300


def score(
    probabilities: Floats,
    truth: Ints,
    labels: Sequence[str],
    *,
    method: str,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> Scores:
    """All scores of one set of predictions.

    Args:
        probabilities: predicted probabilities `(N, K)`; each row sums to one.
        truth: true class numbers `(N,)`.
        labels: names of the K classes.
        method: how the predictions were made, in words; kept in the record.
        groups: the group of each image; None means that every image is a group.
        seed: random seed of the bootstrap.
    """
    own = group_numbers(groups)
    number = number_of_groups(own)
    predicted = largest(probabilities)
    classes = len(labels)
    counts = class_counts(truth, predicted, classes)
    cells = confusion_cells(truth, predicted, classes)
    chances = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    surprise = -np.log(np.maximum(chances, 1e-12))
    top = probabilities.max(axis=1).astype(np.float64)
    rights = predicted == truth
    balanced, macro, losses, errors = np.empty((4, _RESAMPLES))
    for place, draw in enumerate(_draws(len(truth), own, seed)):
        drawn = class_counts(truth[draw], predicted[draw], classes)
        balanced[place], macro[place] = balanced_accuracy(drawn), macro_f1(drawn)
        losses[place] = surprise[draw].mean()
        if place < _CALIBRATION_RESAMPLES:
            errors[place] = calibration_error(top[draw], rights[draw])
    return Scores(
        images=len(truth),
        method=by_group(method, own),
        accuracy=share_estimate(rights, own),
        balanced_accuracy=percentile_interval(balanced_accuracy(counts), balanced, number),
        macro_f1=percentile_interval(macro_f1(counts), macro, number),
        log_loss=percentile_interval(float(surprise.mean()), losses, number),
        calibration_error=percentile_interval(
            calibration_error(top, rights), errors[:_CALIBRATION_RESAMPLES], number
        ),
        classes=_class_scores(counts, labels),
        confusion=_matrix(cells, classes) if classes <= MATRIX_MAX else (),
        confused=() if classes <= MATRIX_MAX else cells,
        groups=number,
    )


def _draws(images: int, groups: Ints | None, seed: int) -> Iterator[Ints]:
    """The places of the images in each draw of the bootstrap, one draw after the other."""
    if groups is None:
        generator = np.random.default_rng(seed)
        for _ in range(_RESAMPLES):
            yield generator.integers(0, images, images, dtype=np.int32)
        return
    for some in bootstrap_counts(images, draws=_RESAMPLES, seed=seed, groups=groups):
        for row in some:
            yield np.repeat(np.arange(images), row.astype(np.int64))


def mean_interval(values: Sequence[float]) -> Estimate:
    """The mean of independent draws with its 95 % interval by Student's t; a single draw has no bounds."""
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Estimate(value=mean)
    half = student(count - 1) * float(np.std(values, ddof=1)) / count**0.5
    return Estimate(value=mean, low=mean - half, high=mean + half)


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
    """Probabilities `(count, K)` of the trivial baseline: class frequencies in training, smoothed by one.

    All rows are the same numbers in memory, which can't be written to.
    """
    frequencies = (np.bincount(train, minlength=classes) + 1.0) / (len(train) + classes)
    return np.broadcast_to(frequencies, (count, classes))


def largest(probabilities: Floats) -> Ints:
    """The class with the largest probability of each row, `(N,) int64`, found in blocks of rows.

    NumPy copies what is not contiguous, such as a baseline's equal rows, before it looks for the largest.
    """
    blocks = range(0, len(probabilities), _BLOCK_ROWS)
    found = [probabilities[start : start + _BLOCK_ROWS].argmax(axis=1) for start in blocks]
    numbers: Ints = np.concatenate(found).astype(np.int64) if found else np.zeros(0, dtype=np.int64)
    return numbers
