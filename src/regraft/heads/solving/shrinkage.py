"""Ridge regression of one number, for every strength at once, with exact errors on left-out images.

It minimises the sum of squares of `x w + b - y` plus |w|^2 / C; the intercept b is not penalised (Hoerl &
Kennard 1970). In the eigenvectors of the centred rows' scalar products, every strength only divides each
coordinate by another number, so one decomposition serves all of them (Hastie, Tibshirani & Friedman 2009,
section 3.4.1). An image's residual in a fit without it is its residual in the fit on all images, divided by
1 - h, with its diagonal entry h of the hat matrix (Allen 1974, PRESS); for a group of images G, it is
`(I - H_GG)^-1 r_G` (Cook & Weisberg 1982, section 3.5). Whole groups are left out because a new image has no
copy or look-alike among the training images either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

Floats = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

STRENGTHS = tuple(10 ** (quarter / 4) for quarter in range(-16, 25))
"""Values of C to choose from: 0.0001 to 1,000,000, four for each factor of ten."""
MIDDLING = 1.0
"""C where nothing can be chosen, as for the ridge head of classes."""
_NEGLIGIBLE = 1e-12  # eigenvalues below this share of the largest are rounding


class Shrinkage:
    """Ridge regression of one number at any strength, from one decomposition.

    Args:
        rows: standardised features `(N, D)`, N at least 2. The work is done in double precision; it takes the
            memory of two copies of the rows, and of two square matrices of their smaller side.
        targets: the numbers `(N,)`.
        groups: the group of each row, which is left out as a whole; None means that every row is a group.

    Example:
        >>> rows = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> ridge = Shrinkage(rows, np.array([1.0, 3.0, 5.0, 7.0]))
        >>> ridge.weights(1e6).round(3)
        array([2., 1.])
        >>> ridge.left_out(1e6).round(3)
        array([1., 3., 5., 7.])
    """

    def __init__(self, rows: Floats, targets: Floats, groups: Sequence[str] | None = None) -> None:
        self._mean = rows.mean(axis=0, dtype=np.float64)
        centred = rows - self._mean
        self._targets = np.asarray(targets, dtype=np.float64)
        self._middle = float(self._targets.mean())
        self._groups = _members(groups)
        by_rows = len(rows) <= rows.shape[1]
        products = centred @ centred.T if by_rows else centred.T @ centred
        values, vectors = eigh(products, overwrite_a=True, check_finite=False)
        is_used = values > _NEGLIGIBLE * max(values[-1], 1e-300)
        self._values = values[is_used]
        roots = np.sqrt(self._values)
        if by_rows:
            self._left, right = vectors[:, is_used], centred.T @ vectors[:, is_used]
            self._right = right / roots
        else:
            self._right = vectors[:, is_used]
            self._left = centred @ self._right / roots
        self._coordinates = self._left.T @ (self._targets - self._middle)

    def left_out(self, strength: float) -> Doubles:
        """The prediction for each row by a fit on the rows of the other groups, `(N,)`.

        Args:
            strength: C, the inverse of the regularisation strength.
        """
        kept = self._kept(strength)
        residuals = self._targets - self._middle - self._left @ (kept * self._coordinates)
        if self._groups is None:
            leverage = np.square(self._left) @ kept + 1 / len(residuals)
            residuals /= np.maximum(1 - leverage, 1e-12)
        else:
            for own in self._groups:
                part = self._left[own]
                unfitted = np.eye(len(own)) - (part * kept) @ part.T - 1 / len(residuals)
                residuals[own] = np.linalg.solve(unfitted, residuals[own])
        predicted: Doubles = self._targets - residuals
        return predicted

    def weights(self, strength: float) -> Doubles:
        """Weights and intercept `(D + 1,)` of the fit on all rows; the intercept is last."""
        scaled = self._kept(strength) * self._coordinates / np.sqrt(self._values)
        weights = self._right @ scaled
        return np.append(weights, self._middle - self._mean @ weights)

    def best(self, strengths: Sequence[float] = STRENGTHS) -> float:
        """The strength with the smallest mean squared error on left-out groups; among equals the smallest."""
        errors = [float(np.mean((self.left_out(one) - self._targets) ** 2)) for one in strengths]
        return float(strengths[int(np.argmin(errors))])

    def _kept(self, strength: float) -> Doubles:
        """How much of each coordinate the penalty leaves, in (0, 1)."""
        kept: Doubles = self._values / (self._values + 1 / strength)
        return kept


@dataclass(frozen=True)
class SolvedNumber:
    """The ridge regression of a number."""

    weights: Doubles
    """Weights and intercept `(D + 1, 1)`; the intercept is last."""
    strength: float
    """C, the inverse of the regularisation strength."""
    out_of_fold: Doubles
    """Predictions `(N, 1)` of each row by a fit without its group."""


def solve_number(
    rows: Floats,
    targets: Floats,
    groups: Sequence[str] | None = None,
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> SolvedNumber:
    """Fit a ridge regression, with the strength that has the smallest error on left-out groups.

    Args:
        rows: standardised features `(N, D)`.
        targets: the numbers `(N,)`.
        groups: the group of each row; None means that every row is a group.
        strengths: values of C; a single one is taken as it is.
    """
    ridge = Shrinkage(rows, targets, groups)
    strength = ridge.best(strengths)
    return SolvedNumber(ridge.weights(strength)[:, None], strength, ridge.left_out(strength)[:, None])


def _members(groups: Sequence[str] | None) -> list[npt.NDArray[np.int64]] | None:
    """The rows of each group; None if every row is a group."""
    if groups is None:
        return None
    _, own = np.unique(np.asarray(groups), return_inverse=True)
    if own.max() + 1 == len(own):
        return None
    order = np.argsort(own, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(own[order])) + 1)
