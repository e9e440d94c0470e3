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
_DRAWN = 10_000  # images of the bootstrap that are looked at at once: what a processor's cache holds
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
    start = 0
    for some in _draws(len(truth), classes, own, seed):
        block = slice(start, start := start + len(some.lengths))
        drawn = some.counts(truth, predicted, classes)
        balanced[block], macro[block] = _balanced_accuracies(drawn), _macro_f1s(drawn)
        losses[block] = some.means(surprise)
        if block.start < _CALIBRATION_RESAMPLES:
            errors[block] = _calibration_errors(
                top[some.places], rights[some.places], some.rows, some.lengths
            )
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


@dataclass(frozen=True)
class _Draws:
    """Some draws of the bootstrap."""

    places: npt.NDArray[np.integer[Any]]
    """The drawn images, one draw after the other."""
    lengths: Ints
    """How many images each draw has, `(B,)`."""

    @property
    def rows(self) -> Ints:
        """The number of the draw to which each place belongs; a single one if there is one draw."""
        number = len(self.lengths)
        return np.repeat(np.arange(number), self.lengths) if number > 1 else np.zeros(1, dtype=np.int64)

    def counts(self, truth: Ints, predicted: Ints, classes: int) -> ClassCounts:
        """The counts of each class in each draw, `(B, K)`."""
        size, true, called = len(self.lengths), truth[self.places], predicted[self.places]
        if size > 1:
            starts = self.rows * classes
            true, called = starts + true, starts + called
        codes = (true, called, true[true == called])
        return ClassCounts(
            *(np.bincount(one, minlength=size * classes).reshape(size, classes) for one in codes)
        )

    def means(self, values: Floats) -> Floats:
        """The mean of the drawn values in each draw, `(B,)`."""
        return np.array([one.mean() for one in np.split(values[self.places], np.cumsum(self.lengths)[:-1])])


def _draws(images: int, classes: int, groups: Ints | None, seed: int) -> Iterator[_Draws]:
    """All draws of the bootstrap, as many at a time as fit into little memory."""
    several = max(1, _DRAWN // max(images, classes))
    if groups is None:
        generator = np.random.default_rng(seed)
        for start in range(0, _RESAMPLES, several):
            size = min(several, _RESAMPLES - start)
            places = generator.integers(0, images, (size, images), dtype=np.int32)
            yield _Draws(places.reshape(-1), np.full(size, images))
        return
    for counts in bootstrap_counts(images, draws=_RESAMPLES, seed=seed, groups=groups):
        for start in range(0, len(counts), several):
            some = counts[start : start + several].astype(np.int64)
            places = np.repeat(np.tile(np.arange(images), len(some)), some.reshape(-1))
            yield _Draws(places, some.sum(axis=1))


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
    """How often each class occurs, is predicted, and is predicted rightly; `(K,)` or `(B, K)` each."""

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
    return float(_balanced_accuracies(counts))


def _balanced_accuracies(counts: ClassCounts) -> Floats:
    return _known_mean(counts.recall, counts.occurs > 0)


def macro_f1(counts: ClassCounts) -> float:
    """Mean F1 of the classes that occur or were predicted."""
    return float(_macro_f1s(counts))


def _macro_f1s(counts: ClassCounts) -> Floats:
    return _known_mean(counts.f1, (counts.occurs + counts.called) > 0)


def _known_mean(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """The mean of the known values: of the only row, or of each."""
    if values.ndim == 1:
        return np.asarray(values[known].mean())
    means: Floats = values.mean(axis=1)
    for row in np.flatnonzero(~known.all(axis=1)):
        means[row] = values[row][known[row]].mean()
    return means


def calibration_error(top: Floats, rights: Floats) -> float:
    """Expected calibration error of the predicted class, 15 bins of equal width (Guo et al. 2017, eq. 3)."""
    return float(_calibration_errors(top, rights, np.zeros(1, dtype=np.int64), np.array([len(top)]))[0])


def _calibration_errors(top: Floats, rights: Floats, rows: Ints, lengths: Ints) -> Floats:
    """The calibration error of each of several sets of images; `rows` are the images' sets."""
    size = len(lengths)
    bins = np.minimum((top * _BINS).astype(np.int64), _BINS - 1) + rows * _BINS
    confidence = np.bincount(bins, weights=top, minlength=size * _BINS)
    accuracy = np.bincount(bins, weights=rights.astype(float), minlength=size * _BINS)
    gaps = np.abs(confidence - accuracy).reshape(size, _BINS).sum(axis=1)
    errors: Floats = gaps / np.maximum(lengths, 1)
    return errors


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
