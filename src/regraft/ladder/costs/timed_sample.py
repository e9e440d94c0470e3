"""A short solve on a sample of the actual data, by which a long one is predicted.

The constants of `solve_cost` come from other data on other machines. A sample tells what they are wrong by on
this data, with its classes, columns and strengths, and under the present load: it is solved in the same way
as all images, and its time is compared with the time that is predicted for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from regraft.data.splits import stratified
from regraft.heads.fitting import fit_head
from regraft.heads.many_rows import is_many
from regraft.heads.rows import Candidate, TrainingRows
from regraft.ladder.costs.solve_cost import solve_cost
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import Amounts
from regraft.records import HeadKind, width_of

_KINDS: tuple[HeadKind, ...] = ("ridge", "logistic")  # an SVM solves a sample of fixed size anyway
_WORTH_S = 10.0
"""Predicted seconds from which a sample is timed."""
_SAFE_TIMES = 3.0
"""No sample is needed where this many times the predicted seconds are left: they are hardly that wrong."""
_SHARE = 0.08
"""The sample may take this share of what all images are predicted to take, and of the time left."""
_LEAST_IMAGES = 2_000
"""Fewer images say little: solving them is mostly overhead."""
_SHRINKAGE = 0.8
_LEAST_TIMES, _MOST_TIMES = 0.125, 8.0


@dataclass(frozen=True)
class TimedSample:
    """How long a sample took, and how far its prediction was off."""

    images: int
    took_s: float
    times: float
    """The time as a multiple of the one predicted for the sample."""


def sample_size(
    kind: HeadKind, amounts: Amounts, width: int, book: CostBook, *, seconds: float
) -> int | None:
    """The number of images of a sample that is worth its time; None if none is.

    Args:
        kind: the kind of head.
        amounts: all images, classes and folds.
        width: number of columns that the head reads.
        book: measured costs of units of work.
        seconds: seconds of the budget that are left.
    """
    if kind not in _KINDS or not is_many(amounts.train):
        return None
    predicted = solve_cost(kind, amounts, width, book).cost.seconds
    if predicted < _WORTH_S or _SAFE_TIMES * predicted < seconds:
        return None
    allowed, images = _SHARE * min(predicted, seconds), int(_SHRINKAGE * amounts.train)
    while images >= _LEAST_IMAGES:
        if _sample_s(kind, amounts, width, book, images) <= allowed:
            return images
        images = int(_SHRINKAGE * images)
    return None


def timed_sample(
    data: TrainingRows,
    kind: HeadKind,
    columns: Candidate,
    amounts: Amounts,
    book: CostBook,
    *,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> TimedSample | None:
    """Solve a head on a stratified sample, as all images would be solved; None if it is not worth its time.

    Args:
        data: all training images.
        kind: the kind of head.
        columns: the columns that the head reads.
        amounts: all images, classes and folds.
        book: measured costs of units of work.
        seconds: seconds of the budget that are left.
        clock: reads seconds.
    """
    width = width_of(columns)
    images = sample_size(kind, amounts, width, book, seconds=seconds)
    if images is None:
        return None
    chosen = stratified(data.strata, images, seed=data.seed)
    sample = replace(data.subset(chosen), is_part_of_many=True)
    started = clock()
    fit_head(sample, kind, [columns])
    took = clock() - started
    times = took / _sample_s(kind, amounts, width, book, len(chosen))
    return TimedSample(len(chosen), took, min(max(times, _LEAST_TIMES), _MOST_TIMES))


def _sample_s(kind: HeadKind, amounts: Amounts, width: int, book: CostBook, images: int) -> float:
    sample = replace(amounts, train=images, is_part_of_many=True)
    return solve_cost(kind, sample, width, book).cost.seconds
