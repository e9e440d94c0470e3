"""Coordinates of rows in the space that they span: fewer numbers if there are fewer images than columns.

A linear classifier with a quadratic penalty has its optimum in the span of its training rows (Hastie &
Tibshirani 2004, "Efficient quadratic regularization for expression arrays", theorem 1). In an orthonormal
basis of that span the same problem has as many columns as there are images, the same optimum, and, since
L-BFGS is invariant to rotations, the same steps on the way. The basis is found once, by QR, for all folds and
strengths.
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
    """Rows as coordinates in a basis, and the basis, with which weights are converted back."""

    rows: Floats
    """Coordinates `(N, R)`, with the same scalar products as the original rows."""
    basis: Floats | None
    """Orthonormal basis `(D, R)`; None if the coordinates are the columns themselves."""

    def weights(self, solved: Floats) -> Floats:
        """Convert weights for the coordinates to weights `(D + 1, K)` for the columns; intercepts last.

        Args:
            solved: weights for the coordinates, `(R + 1, K)`, intercepts last.
        """
        if self.basis is None:
            return solved
        return np.concatenate([self.basis @ solved[:-1], solved[-1:]])


def row_space(rows: Floats, products: int) -> RowSpace:
    """Convert rows to N coordinates if that saves more than it costs; otherwise leave them as they are.

    Args:
        rows: rows `(N, D)`, float32 or float64; the result has the same precision.
        products: number of products of a vector with the rows that will follow; each saves 4 N (D - N) FLOP,
            and the basis takes 4 N N D.

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
