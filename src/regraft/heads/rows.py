"""The data that heads are fitted on: standardised features of the training images, with their folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.splits import USUAL_FOLDS, fold_doubt, fold_numbers, stratified
from regraft.errors import DataError
from regraft.evaluation.intervals.groups import Ints, group_numbers
from regraft.evaluation.intervals.shares import share_estimate
from regraft.features.extraction import Features
from regraft.heads.head import LINKS, Head, softmax
from regraft.records import ClassMeasure, Column, HeadKind, HeadRecord, stages_of, width_of
from regraft.tasks.classes.goodness import SCORE_NAMES, class_goodness
from regraft.tasks.classification import Classification
from regraft.tasks.task import Measure, Task

Floats = npt.NDArray[Any]
Candidate = tuple[Column, ...]

CHUNK_ROWS = 4_096
MANY_ROWS = 20_000
"""The number of rows from which results may differ in their last digits from those of fewer."""
_DOUBLE_BYTES = 100_000_000
"""Outputs of many rows up to this size are kept in double precision."""


@dataclass(frozen=True)
class TrainingRows:
    """The features, labels and groups of a data set's training images."""

    features: Features
    keys: tuple[str, ...]
    targets: npt.NDArray[Any]
    """The labels as numbers, as the task makes them: for classes, their numbers `(N,) int64`."""
    groups: tuple[str, ...]
    task: Task
    seed: int = 0
    is_part_of_many: bool = False
    """Whether settings are chosen as on many rows although these are a sample of them; see `many_rows`."""

    @property
    def num_outputs(self) -> int:
        """The number of outputs K: for classification, of classes."""
        return len(self.task.outputs)

    @cached_property
    def strata(self) -> npt.NDArray[Any]:
        """What folds and samples balance; see `Task.strata`."""
        return self.task.strata(self.targets)

    @cached_property
    def group_numbers(self) -> Ints | None:
        """The number of each image's group; None if every image is a group of its own."""
        return group_numbers(self.groups)

    @cached_property
    def folds(self) -> npt.NDArray[np.int64]:
        """The fold of each image: five folds, or fewer if there are fewer groups; groups stay together.

        Raises:
            DataError: all images are in one group.
        """
        count = min(USUAL_FOLDS, len(set(self.groups)))
        if count < 2:
            raise DataError(
                f"all {len(self.keys):,} training images are in one group (by the table's group column, or "
                "as copies of one image), and a group is never divided, so nothing is left to validate on. "
                "Name at least two groups, better five, or name another column with --group-column"
            )
        return fold_numbers(self.strata, self.groups, folds=count, seed=self.seed)

    @cached_property
    def doubt(self) -> str | None:
        """Why cross-validation can't choose between settings, as a sentence; None if it can."""
        return fold_doubt(self.strata, self.folds)

    def sample(self, most: int) -> TrainingRows:
        """At most `most` of the rows, in proportion to the classes; the choice depends on the seed alone."""
        return self if len(self.keys) <= most else self.subset(stratified(self.strata, most, seed=self.seed))

    def subset(self, rows: npt.NDArray[np.int64]) -> TrainingRows:
        """The given rows alone."""
        return TrainingRows(
            self.features,
            tuple(self.keys[row] for row in rows),
            self.targets[rows],
            tuple(self.groups[row] for row in rows),
            self.task,
            self.seed,
        )


@dataclass(frozen=True)
class FittedHead:
    """A head, and its cross-validation on the training images."""

    head: Head
    out_of_fold: Floats
    """Outputs `(N, K)` for each training image, from heads that were not fitted on its fold."""
    folds: int
    """Number of folds; 1 if the images of `sample` were held out once."""
    trials: tuple[tuple[str, Measure], ...] = field(default=())
    """The stage or stages of each candidate that was compared, with its cross-validated accuracy, or what
    takes its place in other tasks."""
    sample: Ints | None = None
    """Numbers of the training rows that `out_of_fold` is of; None for all of them."""
    fitted_on: int | None = None
    """Number of training images that the head was fitted on; None for all of them."""


def describe(columns: Sequence[Column]) -> str:
    """Name the stages of some columns: `layer3`, or `layer2 ... layer4 (3 stages)`."""
    stages = stages_of(columns)
    return stages[0] if len(stages) == 1 else f"{stages[0]} ... {stages[-1]} ({len(stages)} stages)"


def accuracy(scores: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Share of the rows whose largest score is that of their label."""
    return float(np.mean(scores.argmax(axis=1) == labels))


def measure_of(task: Task) -> ClassMeasure:
    """By what models of a task are compared, where it is about classes; `accuracy` for other tasks."""
    return task.measure if isinstance(task, Classification) else "accuracy"


def standing(task: Task, scores: Floats, labels: npt.NDArray[np.int64]) -> float:
    """How good uncalibrated scores of classes are by the measure that models are compared by.

    Args:
        task: the task, whose measure it is.
        scores: out-of-fold scores `(N, K)`.
        labels: class numbers `(N,)`.
    """
    measure = measure_of(task)
    if measure == "accuracy":
        return accuracy(scores, labels)
    heat = best_temperature(scores, labels) if measure == "log-loss" else 1.0
    return float(class_goodness(measure, softmax(scores / heat), labels).mean())


def standing_measure(task: Task, value: float) -> Measure:
    """A standing under the name that users know."""
    measure = measure_of(task)
    is_loss = measure == "log-loss"
    return Measure(SCORE_NAMES[measure], -value if is_loss else value, is_share=not is_loss)


def share_of(data: TrainingRows, scores: Floats) -> Measure:
    """The share that models are compared by, of uncalibrated scores, with its interval.

    It is the accuracy where models are compared by their log-loss, since these scores are no probabilities.

    Args:
        data: the images.
        scores: out-of-fold scores `(N, K)`.
    """
    goodness = share_goodness(data, scores)
    if measure_of(data.task) in ("accuracy", "log-loss"):
        return Measure.of("accuracy", share_estimate(goodness, data.group_numbers), len(data.keys))
    return data.task.merit(goodness, targets=data.targets, groups=data.groups, seed=data.seed)


def share_goodness(data: TrainingRows, scores: Floats) -> npt.NDArray[np.float64]:
    """How good the prediction for each image is, `(N,)`; the mean is the share of `share_of`."""
    if measure_of(data.task) in ("accuracy", "log-loss"):
        rights: npt.NDArray[np.float64] = (scores.argmax(axis=1) == data.targets).astype(np.float64)
        return rights
    finite = scores[np.isfinite(scores)]
    chances = softmax(scores / max(float(np.ptp(finite)), 1e-12))  # of large scores, all would be 0 or 1
    return data.task.goodness(chances, data.targets)


def score_goodness(data: TrainingRows, scores: Floats) -> npt.NDArray[np.float64]:
    """The same by the measure that models are compared by, the log-loss included, `(N,)`."""
    if measure_of(data.task) != "log-loss":
        return share_goodness(data, scores)
    return class_goodness("log-loss", softmax(scores / best_temperature(scores, data.targets)), data.targets)


def shortfall(task: Task, scores: Floats, labels: npt.NDArray[np.int64], own: float) -> tuple[float, ...]:
    """What a head's strength is chosen by; smaller is better.

    For accuracy it is the head's own loss, which is less noisy. For another measure, it is how far that falls
    short, and of equal ones the head's own loss.

    Args:
        task: the task, whose measure it is.
        scores: out-of-fold scores `(N, K)`.
        labels: class numbers `(N,)`.
        own: the head's own loss.
    """
    return (own,) if measure_of(task) == "accuracy" else (-standing(task, scores, labels), own)


def log_loss(probabilities: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the labels in nats."""
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


@dataclass(frozen=True)
class Standard:
    """Standardisation of columns: unit variance, divided by the root of the stage's width."""

    mean: Floats
    scale: Floats

    def apply(self, rows: Floats) -> Floats:
        """Standardise in place; returns `rows`."""
        rows -= self.mean
        rows *= self.scale
        return rows


def standardisation(data: TrainingRows, columns: Candidate) -> Standard:
    """The standardisation that fits all training rows; a constant column is left out (its scale is 0)."""
    starts = range(0, len(data.keys), CHUNK_ROWS)
    keys = (data.keys[start : start + CHUNK_ROWS] for start in starts)
    return standard_of((data.features.matrix(some, columns) for some in keys), columns)


def standard_of(parts: Iterable[Floats], columns: Candidate) -> Standard:
    """The standardisation that fits some rows, of any precision, which come in parts."""
    width, count = width_of(columns), 0
    total, squares = np.zeros(width), np.zeros(width)
    for part in parts:
        rows = part.astype(np.float64)
        total += rows.sum(axis=0)
        squares += np.square(rows).sum(axis=0)
        count += len(rows)
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0)
    stages = stages_of(columns)
    widths = {s: sum(c.stop - c.start for c in columns if c.stage == s) for s in stages}
    root = np.concatenate([np.full(c.stop - c.start, widths[c.stage] * len(stages)) for c in columns]) ** 0.5
    is_constant = variance <= 1e-12 * np.maximum(mean**2, 1e-12)
    scale = np.where(is_constant, 0, 1 / (np.sqrt(np.where(is_constant, 1, variance)) * root))
    return Standard(mean.astype(np.float32), scale.astype(np.float32))


def standardised(data: TrainingRows, columns: Candidate) -> tuple[Standard, npt.NDArray[np.float32]]:
    """How some columns are standardised, and the standardised training rows, `(N, D) float32`."""
    standard = standardisation(data, columns)
    rows = np.empty((len(data.keys), len(standard.mean)), dtype=np.float32)
    for start in range(0, len(rows), CHUNK_ROWS):  # so that the stored rows are not in memory besides
        part = slice(start, start + CHUNK_ROWS)
        rows[part] = standard.apply(data.features.matrix(data.keys[part], columns))
    return standard, rows


def finished(
    data: TrainingRows,
    kind: HeadKind,
    columns: Candidate,
    *,
    standard: Standard,
    arrays: dict[str, Floats],
    hyperparameters: dict[str, float],
    scores: Floats,
    temperature: float | None = None,
    sample: Ints | None = None,
) -> FittedHead:
    """Assemble a head, and calibrate it on its out-of-fold scores unless its temperature is given.

    Only classes are calibrated: the links of other tasks have no temperature. The scores are those of the
    rows in `sample`, or of all of them.
    """
    link = data.task.link
    if temperature is not None or link != "softmax":
        heat = temperature or 1.0
    else:
        known = data.targets if sample is None else data.targets[sample]
        heat = 1.0 if data.doubt else best_temperature(scores, known)
    record = HeadRecord(
        kind=kind, columns=columns, hyperparameters=hyperparameters, temperature=heat, link=link
    )
    head = Head(record, {"mean": standard.mean, "scale": standard.scale, **arrays})
    folds = int(data.folds.max()) + 1 if sample is None else 1
    return FittedHead(head, by_blocks(lambda part: LINKS[link](part / heat), scores), folds, sample=sample)


def outputs_of_keys(outputs_of: Callable[[Sequence[str]], Floats], keys: Sequence[str]) -> Floats:
    """Outputs `(N, K)` of rows in a store, as `by_blocks`; many are read in the order of the store.

    In another order each block would read a little of every shard, and so all of the store where it is larger
    than the memory.

    Args:
        outputs_of: computes the outputs `(n, K) float64` of some keys.
        keys: the keys of the rows.
    """
    if len(keys) < MANY_ROWS:
        return outputs_of(keys)
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__))
    return by_blocks(lambda places: outputs_of([keys[place] for place in places]), order, order)


def by_blocks(
    outputs_of: Callable[[Any], Floats], rows: Sequence[Any] | Floats, places: Ints | None = None
) -> Floats:
    """Outputs `(N, K)` of some rows, computed in blocks; those of fewer than 20,000 are computed at once.

    Where they are many and take more than 100 MB, they are kept in single precision: of a million rows and a
    thousand classes that is 4 GB instead of 8, and what is computed on the way is as large as a block.

    Args:
        outputs_of: computes the outputs `(n, K) float64` of a part of the rows.
        rows: the rows, or what they are read by; at least one.
        places: the place of each row's outputs in the result `(N,)`; None means that of the row.
    """
    if len(rows) < MANY_ROWS:
        return outputs_of(rows)
    result: Floats | None = None
    for start in range(0, len(rows), CHUNK_ROWS):
        part = outputs_of(rows[start : start + CHUNK_ROWS])
        if result is None:
            is_large = 8 * len(rows) * part.shape[1] > _DOUBLE_BYTES
            result = np.empty((len(rows), part.shape[1]), dtype=np.float32 if is_large else np.float64)
        own = slice(start, start + len(part))
        result[own if places is None else places[own]] = part
    assert result is not None
    return result


def best_temperature(scores: Floats, labels: npt.NDArray[np.int64]) -> float:
    """The temperature with the smallest log-loss on out-of-fold scores (Guo et al. 2017), by golden section.

    One extra image, which belongs to every class equally, is added: otherwise a few images that are all
    predicted correctly would make the model certain of everything. (Platt 1999, section 2.2, adds one image
    for each of the K classes; if N / K is small, these outweigh the observed images.)
    """
    count = len(scores)
    smooth = 1 / (count + 1)
    size = count if count < MANY_ROWS else CHUNK_ROWS

    def loss(log_heat: float) -> float:
        own, every = 0.0, 0.0
        for start in range(0, count, size):
            chances = softmax(scores[start : start + size] / np.exp(log_heat))
            np.maximum(chances, 1e-12, out=chances)
            np.log(chances, out=chances)
            share = len(chances) / count
            own += share * chances[np.arange(len(chances)), labels[start : start + size]].mean()
            every += share * chances.mean()
        return float(-(1 - smooth) * own - smooth * every)

    low, high = -6.0, 6.0
    golden = (5**0.5 - 1) / 2
    while high - low > 1e-3:
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return float(np.exp((low + high) / 2))
