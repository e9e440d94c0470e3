"""About the inverse of the curvature of a linear classifier's loss, by which the solver's directions begin.

The Hessian of the cross-entropy is bounded by a multiple of the rows' Gram matrix for every pair of classes
(Boehning 1992, "Multinomial logistic regression algorithm"). A sample of the rows is enough: the metric
changes the way to the optimum, not the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from regraft.heads.solving.row_blocks import RowBlocks, blocks_of

Floats = npt.NDArray[Any]

_LEAST_CURVATURE = (
    1e-2  # of any direction, as a share of the mean; from 1e-1 to 1e-3 the solver took as many passes
)
_SQUARE_WIDTH = 4_096
"""Up to this many columns the inverse is kept as a matrix: 67 MB. Of 12,000 columns it would be 570 MB, and
several of them while it is computed."""
_METRIC_ROWS = 2_048
"""The number of rows that a metric of more columns is made of."""


class Metric(Protocol):
    """A symmetric positive definite matrix `(D + 1, D + 1)`, by its products."""

    def __matmul__(self, other: Floats, /) -> Floats:
        """The product with arrays `(..., D + 1, K)`."""


def metric_of(rows: Floats | RowBlocks) -> Metric:
    """About the inverse of the curvature, up to a factor, for columns and intercept.

    Args:
        rows: some standardised rows `(N, D)`.
    """
    count, width = rows.shape
    if width > _SQUARE_WIDTH:
        return _wide_metric(rows)
    gram = np.zeros((width + 1, width + 1), dtype=rows.dtype)
    for own in blocks_of(np.arange(count), width):
        part = rows[own]
        gram[:-1, :-1] += part.T @ part
        gram[:-1, -1] += part.sum(axis=0)
    gram /= count
    gram[-1, :-1] = gram[:-1, -1]
    gram[-1, -1] = 1
    gram[np.diag_indices(width)] += max(_LEAST_CURVATURE * float(np.trace(gram)) / width, 1e-12)
    inverse: Floats = np.linalg.inv(gram)
    square: Floats = (inverse + inverse.T) / 2
    return square


def metric_bytes(width: int) -> int:
    """About how many bytes a metric of some columns takes in single precision while it is computed."""
    return 4 * (width + 1) * (3 * (width + 1) if width <= _SQUARE_WIDTH else 2 * _METRIC_ROWS)


@dataclass(frozen=True)
class RowMetric:
    """The inverse of `floor I + rows' rows / n` in the memory of n rows instead of D (Woodbury 1950).

    It is `(I - rows' (n floor I + rows rows')^-1 rows) / floor`.
    """

    rows: Floats
    """The rows with a one at their end, for the intercept: `(n, D + 1)`."""
    factor: tuple[Floats, bool]
    """The Cholesky factor of `n floor I + rows rows'`."""
    floor: float

    def __matmul__(self, other: Floats, /) -> Floats:
        """The product with arrays `(..., D + 1, K)`."""
        flat = np.moveaxis(other, -2, 0).reshape(self.rows.shape[1], -1)
        found = flat - self.rows.T @ cho_solve(self.factor, self.rows @ flat, check_finite=False)
        found /= self.floor
        shape = (other.shape[-2], *other.shape[:-2], other.shape[-1])
        result: Floats = np.moveaxis(found.reshape(shape), 0, -2)
        return result


def _wide_metric(rows: Floats | RowBlocks) -> RowMetric:
    """The metric of at most 2,048 of the rows, which are evenly spread."""
    count, width = rows.shape
    chosen = np.unique(np.linspace(0, count - 1, min(count, _METRIC_ROWS)).astype(np.int64))
    longer = np.ones((len(chosen), width + 1), dtype=rows.dtype)
    start = 0
    for own in blocks_of(chosen, width):
        longer[start : start + len(own), :-1] = rows[own]
        start += len(own)
    products = longer @ longer.T
    floor = max(_LEAST_CURVATURE * float(np.trace(products)) / len(chosen) / width, 1e-12)
    products[np.diag_indices(len(chosen))] += floor * len(chosen)
    return RowMetric(longer, cho_factor(products, lower=True, overwrite_a=True, check_finite=False), floor)
