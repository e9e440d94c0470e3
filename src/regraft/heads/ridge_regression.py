"""Ridge regression on class indicators: a linear classifier of any number of classes in closed form.

It minimises the sum of squares of `x W + b - y` plus |W|^2 / C, where y is 1 for a row's own class and 0 for
the others (Hoerl & Kennard 1970); the intercepts b are not penalised. Cross-validation is exact without
repeating the work for each fold. `RowRidge` and `ColumnRidge` give the same numbers; the first is cheaper
if there are fewer rows than columns, the second otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, lapack

from regraft.heads.kernel_machines import by_class, class_shares

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

_CHUNK_ROWS = 4_096


class Ridge(Protocol):
    """A ridge regression whose rows are divided into folds."""

    def out_of_fold(self, strength: float) -> npt.NDArray[np.float64]:
        """Scores `(N, K)` of each row by a fit on the rows of the other folds.

        Args:
            strength: C, the inverse of the regularisation strength.
        """

    def weights(self, strength: float) -> Floats:
        """Weights and intercepts `(D + 1, K)` of the fit on all rows; intercepts last."""


class GramRidge:
    """Ridge regression from the scalar products of all rows, or from any kernel matrix instead of them.

    With the hat matrix H, which maps y to predictions, the rows F that a fit leaves out have the residuals
    (I - H_FF)^-1 r_F, where r_F are their residuals in the fit on all rows (Cook & Weisberg 1982, section
    3.5; with single rows it is Allen's PRESS). So each strength takes one inverse of an N x N matrix, and
    hardly any more for more classes or folds.

    Args:
        gram: scalar products or kernel `(N, N)`; it is centred here, which makes the intercepts exact. The
            work is done in its precision: float32 is enough if C times the largest eigenvalue is below 1e5.
        labels: class numbers `(N,)`.
        num_classes: number of classes K.
        folds: fold of each row `(N,)`, at least two of them; a fold may be a single row.
    """

    def __init__(self, gram: Floats, labels: Ints, num_classes: int, folds: Ints) -> None:
        means = gram.mean(axis=0, dtype=np.float64).astype(gram.dtype)
        self._gram = gram - means[:, None]
        self._gram += means.mean() - means
        self._labels, self._classes, self._folds = labels, num_classes, folds

    def out_of_fold(self, strength: float) -> npt.NDArray[np.float64]:
        """Scores `(N, K)` of each row by a fit on the rows of the other folds."""
        unfitted = self._inverse(strength)
        unfitted /= strength
        unfitted -= 1 / len(unfitted)  # now I - H
        residuals = by_class(unfitted, self._labels, self._classes).astype(np.float64)
        for fold in np.unique(self._folds):
            own = np.flatnonzero(self._folds == fold)
            block = cho_factor(unfitted[np.ix_(own, own)], lower=True, overwrite_a=True)
            residuals[own] = cho_solve(block, residuals[own])
        scores: npt.NDArray[np.float64] = -residuals
        scores[np.arange(len(scores)), self._labels] += 1
        return scores

    def coefficients(self, strength: float) -> npt.NDArray[np.float64]:
        """Coefficients `(N, K)` of the centred rows, or of their kernels, in the fit on all rows."""
        system = cho_factor(self._system(strength), lower=True, overwrite_a=True)
        targets = np.tile(-class_shares(self._labels, self._classes), (len(self._labels), 1))
        targets[np.arange(len(targets)), self._labels] += 1
        found: npt.NDArray[np.float64] = cho_solve(system, targets)
        return found

    def _system(self, strength: float) -> Floats:
        system: Floats = self._gram.copy()
        system[np.diag_indices(len(system))] += 1 / strength
        return system

    def _inverse(self, strength: float) -> Floats:
        system = self._system(strength).T  # symmetric, and in the order of columns that LAPACK wants
        factorise, invert = lapack.get_lapack_funcs(("potrf", "potri"), (system,))
        factor, failed = factorise(system, lower=True, overwrite_a=True, clean=True)
        assert not failed, "a Gram matrix plus a positive diagonal has a Cholesky factor"
        inverse, failed = invert(factor, lower=True, overwrite_c=True)  # the upper half is zero
        assert not failed
        diagonal = inverse.diagonal().copy()
        inverse = inverse + inverse.T
        inverse[np.diag_indices(len(inverse))] = diagonal
        return np.asarray(inverse)


class RowRidge:
    """Ridge regression for at most about as many rows as columns.

    Args:
        rows: the rows `(N, D)`.
        labels: class numbers `(N,)`.
        num_classes: number of classes K.
        folds: fold of each row `(N,)`, at least two of them.
    """

    def __init__(self, rows: Floats, labels: Ints, num_classes: int, folds: Ints) -> None:
        self._rows, self._shares = rows, class_shares(labels, num_classes)
        self._dual = GramRidge((rows @ rows.T).astype(np.float64), labels, num_classes, folds)

    def out_of_fold(self, strength: float) -> npt.NDArray[np.float64]:
        """Scores `(N, K)` of each row by a fit on the rows of the other folds."""
        return self._dual.out_of_fold(strength)

    def weights(self, strength: float) -> Floats:
        """Weights and intercepts `(D + 1, K)` of the fit on all rows; intercepts last."""
        weights = self._rows.T @ self._dual.coefficients(strength).astype(self._rows.dtype)
        intercepts = self._shares - self._rows.mean(axis=0) @ weights
        return np.concatenate([weights, intercepts[None].astype(weights.dtype)])


class ColumnRidge:
    """Ridge regression for more rows than columns: memory grows with D (D + K), besides the scores.

    Rows are read in chunks, which are added up to a Gram matrix for each fold. What a fold leaves out is
    subtracted from the sum, and a system with D unknowns is solved for it.

    Args:
        read: returns the given rows `(n, D)`.
        labels: class numbers `(N,)`.
        num_classes: number of classes K.
        folds: fold of each row `(N,)`, at least two of them, numbered from 0.
    """

    def __init__(self, read: Callable[[Ints], Floats], labels: Ints, num_classes: int, folds: Ints) -> None:
        self._read, self._labels, self._classes = read, labels, num_classes
        self._members = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]

    def out_of_fold(self, strength: float) -> npt.NDArray[np.float64]:
        """Scores `(N, K)` of each row by a fit on the rows of the other folds."""
        scores = np.empty((len(self._labels), self._classes))
        for fold, members in enumerate(self._members):
            weights = self._solved(strength, without=fold)
            for own in _chunks(members):
                scores[own] = self._read(own) @ weights[:-1] + weights[-1]
        return scores

    def left_out(self, strength: float, rows: Ints, *, fold: int) -> npt.NDArray[np.float64]:
        """Scores `(n, K)` of some rows of a fold by a fit on the rows of the other folds."""
        weights = self._solved(strength, without=fold)
        parts = [self._read(own) @ weights[:-1] + weights[-1] for own in _chunks(rows)]
        return np.concatenate(parts).astype(np.float64)

    def weights(self, strength: float) -> Floats:
        """Weights and intercepts `(D + 1, K)` of the fit on all rows; intercepts last."""
        return self._solved(strength)

    @cached_property
    def _sums(self) -> list[tuple[Floats, Floats, Floats]]:
        """For each fold: Gram matrix `(D, D)`, sums of rows by class `(D, K)`, class counts `(K,)`."""
        return [self._summed(members) for members in self._members]

    @cached_property
    def _total(self) -> tuple[Floats, Floats, Floats]:
        gram, targets, counts = (sum(parts[1:], start=parts[0]) for parts in zip(*self._sums, strict=True))
        return gram, targets, counts

    def _summed(self, members: Ints) -> tuple[Floats, Floats, Floats]:
        gram, targets = np.zeros((1, 1)), np.zeros((1, 1))
        for own in _chunks(members):
            rows = self._read(own)
            product = rows.T @ rows
            if gram.shape == product.shape:
                gram += product  # of 12,000 columns, another sum would be a gigabyte
            else:
                gram = gram + product
            targets = targets + by_class(rows.T, self._labels[own], self._classes)
        return gram, targets, np.bincount(self._labels[members], minlength=self._classes).astype(float)

    def _solved(self, strength: float, *, without: int | None = None) -> Floats:
        gram, targets, counts = self._total
        if without is not None:
            left_out = self._sums[without]
            gram, targets, counts = gram - left_out[0], targets - left_out[1], counts - left_out[2]
        number, mean = counts.sum(), targets.sum(axis=1) / counts.sum()
        system = np.outer(mean, mean)
        system *= -number
        system += gram
        del gram
        system[np.diag_indices(len(system))] += 1 / strength
        factor = cho_factor(system.T, lower=True, overwrite_a=True)  # symmetric, in LAPACK's order
        weights = cho_solve(factor, targets - np.outer(mean, counts))
        intercepts = counts / number - mean @ weights
        return np.concatenate([weights, intercepts[None]]).astype(np.float32)


def _chunks(members: Ints) -> list[Ints]:
    return [members[start : start + _CHUNK_ROWS] for start in range(0, len(members), _CHUNK_ROWS)]
