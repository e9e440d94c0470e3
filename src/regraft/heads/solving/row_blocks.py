"""Standardised rows that are kept as they are stored and converted block by block.

A million rows of a thousand columns are 2 GB in half precision and 4 GB in single precision, and a solver
reads them a hundred times. So they are read from disk once, and each product converts the block it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

_BLOCK_NUMBERS = 16_000_000
"""Numbers of rows that are standardised at once: 64 MB."""
_MOST_BLOCK_ROWS = 4_096
_SMALL_BYTES = 256_000_000
"""A part of this size is standardised once instead of by every product."""


@dataclass(frozen=True)
class RowBlocks:
    """Rows `(N, D)` of which any part is standardised when it is read.

    >>> halves = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float16)
    >>> rows = RowBlocks(halves, np.float32([1, 2]), np.float32([0.5, 2]))
    >>> rows[1:].tolist(), rows.shape
    ([[1.0, 4.0]], (2, 2))
    """

    stored: Floats
    """The rows as they are stored, usually in half precision."""
    mean: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, part: slice | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        rows = self.stored[part].astype(np.float32)
        rows -= self.mean
        rows *= self.scale
        return rows

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return len(self.stored), self.stored.shape[1]

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """The precision of what is read."""
        return np.dtype(np.float32)

    @property
    def itemsize(self) -> int:
        """Bytes of each number that is read."""
        return self.dtype.itemsize


def unscaled_blocks(rows: Floats) -> RowBlocks:
    """Rows in half precision that need no standardisation."""
    width = rows.shape[1]
    return RowBlocks(rows, np.zeros(width, np.float32), np.ones(width, np.float32))


def blocks_of(chosen: Ints, width: int) -> Iterator[Ints]:
    """Numbers of rows, in blocks that are small enough to be standardised at once.

    Args:
        chosen: numbers of rows, `(n,)`.
        width: number of columns.

    >>> [block.tolist() for block in blocks_of(np.arange(5), 8_000_000)]
    [[0, 1], [2, 3], [4]]
    """
    size = max(1, min(_MOST_BLOCK_ROWS, _BLOCK_NUMBERS // max(width, 1)))
    for start in range(0, len(chosen), size):
        yield chosen[start : start + size]


def part_of(rows: Floats | RowBlocks, chosen: Ints) -> Floats | RowBlocks:
    """Some of the rows, standardised where that is small, and otherwise as they are stored."""
    if isinstance(rows, RowBlocks) and len(chosen) * rows.shape[1] * rows.itemsize > _SMALL_BYTES:
        return RowBlocks(rows.stored[chosen], rows.mean, rows.scale)
    part: Floats = rows[chosen]
    return part


def scores_of(rows: Floats | RowBlocks, chosen: Ints, weights: Floats) -> npt.NDArray[np.float64]:
    """Scores `(n, K)` of some rows by weights and intercepts `(D + 1, K)`, block by block.

    >>> rows, weights = np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [0.5]])
    >>> scores_of(rows, np.array([0, 2]), weights).ravel().tolist()
    [2.5, 6.5]
    """
    scores = np.empty((len(chosen), weights.shape[1]))
    start = 0
    for own in blocks_of(chosen, rows.shape[1]):
        scores[start : start + len(own)] = rows[own] @ weights[:-1] + weights[-1]
        start += len(own)
    return scores
