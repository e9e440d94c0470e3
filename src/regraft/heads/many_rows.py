"""The rows on which settings of a head are chosen and which validate it, where training rows are many.

Cross-validation fits each head five times and once more, at several strengths. Of a million images that takes
hours and says hardly more than a sample does: twenty thousand images give an accuracy to 0.7 points. So from
20,000 training images on

- one fold is held out, or a stratified sample of it (`HeldSample.rows`);
- the strength is chosen by heads that are fitted on a sample of the other rows;
- a head of this strength, fitted on all other rows, predicts those that are held out, and so do heads of
  stronger penalty as long as they are better: these predictions validate the head and calibrate it;
- the head itself is fitted on all rows, starting from that one.

No row is predicted by a head that was fitted on it or on an image of its group, and the head that predicts
has seen nearly as many rows as the final one. As in cross-validation, the predictions have also chosen the
strength, one number from a list of at most fifteen. `benchmarks/solve_scale.py` measures what this costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.data.splits import USUAL_FOLDS, fold_numbers, stratified
from regraft.heads.rows import (
    MANY_ROWS,
    Candidate,
    Floats,
    Standard,
    TrainingRows,
    standard_of,
    standardised,
)
from regraft.heads.solving.row_blocks import RowBlocks, blocks_of
from regraft.records import width_of
from regraft.training_settings import TrainSettings

Ints = npt.NDArray[np.int64]

MOST_HELD = 20_000
"""The largest number of rows that are held out."""
MOST_SEARCHED = 20_000
"""The largest number of rows that the heads are fitted on by which a strength is chosen."""
_SINGLE_BYTES = 1_000_000_000
"""Rows up to this size are kept in single precision, which saves their conversion."""


@dataclass(frozen=True)
class HeldSample:
    """Numbers of training rows, in order."""

    rows: Ints
    """The rows that are held out."""
    others: Ints
    """The rows of other groups."""
    search: Ints
    """A stratified sample of the others."""

    def trained(self, count: int) -> npt.NDArray[np.bool_]:
        """Which of `count` rows are the others, `(1, count)`."""
        marks = np.zeros((1, count), dtype=bool)
        marks[0, self.others] = True
        return marks


def is_many(count: int) -> bool:
    """Whether settings are chosen on a sample of this number of training rows."""
    return count >= MANY_ROWS


def held_count(count: int) -> int:
    """About how many of many rows are held out."""
    return min(MOST_HELD, count // _folds())


def held_sample(data: TrainingRows) -> HeldSample | None:
    """The rows that are held out of many; None if there are too few, so that all are cross-validated.

    They belong to the fold that a training with usual settings holds out (`Dataset.held_out`), so that
    heads and trainings are compared on all of them. The choice depends on labels, groups and the seed.
    """
    count = len(data.keys)
    if not (data.is_part_of_many or is_many(count)):
        return None
    folds = min(len(set(data.groups)), _folds())
    numbers = data.folds
    if folds > USUAL_FOLDS:
        numbers = fold_numbers(data.strata, data.groups, folds=folds, seed=data.seed)
    fold = int(np.flatnonzero(2 * np.bincount(numbers) <= count)[0])
    members = np.flatnonzero(numbers == fold)
    rows = members[stratified(data.strata[members], MOST_HELD, seed=data.seed)]
    is_linked = np.zeros(count, dtype=bool)
    is_linked[rows] = True
    if data.group_numbers is not None:
        is_linked |= np.isin(data.group_numbers, data.group_numbers[rows])
    others = np.flatnonzero(~is_linked)
    search = others[stratified(data.strata[others], MOST_SEARCHED, seed=data.seed)]
    return HeldSample(rows, others, search)


def _folds() -> int:
    return round(1 / TrainSettings().validation_share)


def rows_bytes(count: int, width: int) -> int:
    """Bytes in which `row_blocks` keeps rows of features in half precision."""
    return (4 if is_small(count, width) else 2) * count * width


def is_small(count: int, width: int) -> bool:
    """Whether rows of features are kept in single precision."""
    return 4 * count * width <= _SINGLE_BYTES


def row_blocks(data: TrainingRows, columns: Candidate) -> tuple[Standard, Floats | RowBlocks]:
    """How some columns are standardised, and the standardised training rows.

    Many rows are kept in the precision in which they are stored.
    """
    if is_small(len(data.keys), width_of(columns)):
        return standardised(data, columns)
    stored = data.features.stored(data.keys, columns)
    blocks = blocks_of(np.arange(len(stored)), width_of(columns))
    standard = standard_of((stored[own[0] : own[-1] + 1] for own in blocks), columns)
    return standard, RowBlocks(stored, standard.mean, standard.scale)


def rows_on_disk(data: TrainingRows, columns: Candidate) -> tuple[Standard, Callable[[Ints], Floats]]:
    """How some columns are standardised, and what reads some training rows `(n, D)` and standardises them.

    For heads that read every row once or twice, so that no more than a block has to be in memory. Blocks of
    `by_key` are read fastest, because the store has its rows in this order.
    """

    def features(own: Ints) -> Floats:
        return data.features.matrix([data.keys[row] for row in own], columns)

    blocks = blocks_of(by_key(data, np.arange(len(data.keys))), width_of(columns))
    standard = standard_of(map(features, blocks), columns)
    return standard, lambda own: standard.apply(features(own))


def by_key(data: TrainingRows, chosen: Ints) -> Ints:
    """Some rows in the order of their keys."""
    return np.array(sorted(chosen.tolist(), key=data.keys.__getitem__), dtype=np.int64)
