"""Standardised rows that are kept as they are stored and converted block by block.

A million rows of a thousand columns are 2 GB in half precision and 4 GB in single precision, and a solver
reads them a hundred times. So they are read from disk once, and each product converts the block it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]


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
