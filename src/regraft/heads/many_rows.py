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

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.data.splits import USUAL_FOLDS, fold_numbers, stratified
from regraft.heads.rows import (
    CHUNK_ROWS,
    Candidate,
    Floats,
    Standard,
    TrainingRows,
    standard_of,
    standardised,
)
from regraft.heads.solving.row_blocks import RowBlocks
from regraft.records import width_of
from regraft.training_settings import TrainSettings

Ints = npt.NDArray[np.int64]

MANY_ROWS = 20_000
"""The number of training rows from which settings are chosen on a sample."""
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
    if not is_many(count):
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
    numbers = count * width
    return 4 * numbers if 4 * numbers <= _SINGLE_BYTES else 2 * numbers


def row_blocks(data: TrainingRows, columns: Candidate) -> tuple[Standard, Floats | RowBlocks]:
    """How some columns are standardised, and the standardised training rows.

    Many rows are kept in the precision in which they are stored.
    """
    if 4 * len(data.keys) * width_of(columns) <= _SINGLE_BYTES:
        return standardised(data, columns)
    stored = data.features.stored(data.keys, columns)
    starts = range(0, len(stored), CHUNK_ROWS)
    standard = standard_of((stored[start : start + CHUNK_ROWS] for start in starts), columns)
    return standard, RowBlocks(stored, standard.mean, standard.scale)
