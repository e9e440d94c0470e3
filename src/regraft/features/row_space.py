"""Rows in coordinates of the space that they span: fewer numbers where images are fewer than columns.

A linear classifier with a quadratic penalty has its optimum in the span of its training rows (Hastie &
Tibshirani 2004, "Efficient quadratic regularization for expression arrays", theorem 1). In an orthonormal
basis of that span the same problem has as many columns as there are images, the same optimum, and, since
L-BFGS does not care how the space is turned, the same steps on the way. The basis is found once, by QR, for
all folds and strengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class RowSpace:
    """Some rows, and how to come back from their coordinates."""

    rows: Floats
    """`(N, R)`, with the scalar products of the rows as they were."""
    basis: Floats | None
    """`(D, R)`, orthonormal; None where the coordinates are the columns themselves."""

    def weights(self, solved: Floats) -> Floats:
        """Weights `(D + 1, K)` for the columns, from those for the coordinates; intercepts last.

        Args:
            solved: `(R + 1, K)`, intercepts last.
        """
        if self.basis is None:
            return solved
        return np.concatenate([self.basis @ solved[:-1], solved[-1:]])


def row_space(rows: Floats, products: int) -> RowSpace:
    """Coordinates in which the rows are square, if that saves more than it costs; else as they are.

    Args:
        rows: `(N, D)`, float32 or float64, which the result is, too.
        products: of vectors with the rows that are to come; each saves 4 N (D - N) FLOP, the basis takes
            4 N N D.

    Example:
        >>> space = row_space(np.array([[3.0, 0.0, 4.0]]), 100)
        >>> abs(space.rows)
        array([[5.]])
        >>> abs(space.weights(np.array([[5.0], [7.0]]))).round(3).ravel()
        array([3., 0., 4., 7.])
    """
    count, width = rows.shape
    if count * width >= products * (width - count):
        return RowSpace(rows, None)
    basis, triangle = qr(rows.T, mode="economic", check_finite=False)
    return RowSpace(np.ascontiguousarray(triangle.T), basis)
