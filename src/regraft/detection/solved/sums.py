"""Least squares from sums over pictures, kept apart by fold.

A ridge regression needs of its rows X only X'X and X'Y. Both are sums over pictures: they are computed in one
pass, whatever the number of pictures, and the solution without the pictures of a fold needs no other pass,
since its sums are subtracted. So cross-validation costs a few solves.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.errors import DataError

Floats = npt.NDArray[Any]
_ROWS = 1_024


class FoldSums:
    """Sums of weighted rows by fold. A column of ones is added to the rows; it is not penalised.

    Args:
        width: number of columns D of a row.
        outputs: number of targets K of a row.
        folds: number of folds.

    >>> sums = FoldSums(1, 1, 2)
    >>> sums.add(np.array([[0.0], [1.0], [2.0]]), np.array([[1.0], [3.0], [5.0]]), fold=0)
    >>> sums.add(np.array([[9.0]]), np.array([[0.0]]), fold=1)
    >>> sums.solved(1e-9, without=1).round(6).ravel().tolist()  # slope and intercept
    [2.0, 1.0]
    """

    def __init__(self, width: int, outputs: int, folds: int) -> None:
        self.width, self.folds = width, folds
        self._squares = np.zeros((folds, width + 1, width + 1))
        self._products = np.zeros((folds, width + 1, outputs))
        self._targets = np.zeros(folds)
        self.weights = np.zeros(folds)
        self._waiting: list[list[tuple[Floats, Floats]]] = [[] for _ in range(folds)]
        self._solved: dict[tuple[float, tuple[int, ...]], Floats] = {}

    def add(self, rows: Floats, targets: Floats, *, fold: int, weights: Floats | None = None) -> None:
        """Add rows.

        Args:
            rows: `(N, D)`.
            targets: `(N, K)`.
            fold: the fold of these rows.
            weights: weight of each row `(N,)`, at least 0; None means 1.
        """
        if not len(rows):
            return
        self._solved.clear()
        whole = np.concatenate([rows, np.ones((len(rows), 1), rows.dtype)], axis=1)
        if weights is not None:
            roots = np.sqrt(weights).astype(rows.dtype)[:, None]
            whole, targets = whole * roots, targets * roots
        self._waiting[fold].append((whole, targets))
        self.weights[fold] += len(rows) if weights is None else float(weights.sum())
        if sum(len(each) for each, _ in self._waiting[fold]) >= _ROWS:
            self._multiply(fold)

    def _multiply(self, fold: int) -> None:
        """Add the products of the rows that wait: one product of many rows is cheaper than many of few."""
        if waiting := self._waiting[fold]:
            rows, targets = (np.concatenate([pair[place] for pair in waiting]) for place in (0, 1))
            self._squares[fold] += rows.T @ rows
            self._products[fold] += rows.T @ targets
            self._targets[fold] += float(np.square(targets, dtype=np.float64).sum())
            waiting.clear()

    def solved(
        self, strength: float, *, without: int | None = None, only: tuple[int, ...] | None = None
    ) -> Floats:
        """The coefficients `(D + 1, K)`, the intercepts last; each solution is computed once.

        Args:
            strength: the penalty as a multiple of the mean variance of a column times the rows' weight.
            without: a fold to leave out.
            only: the folds to use; None means all but the one that is left out.

        Raises:
            DataError: no rows are left.
        """
        folds = only or tuple(fold for fold in range(self.folds) if fold != without)
        if (strength, folds) not in self._solved:
            self._solved[strength, folds] = self._solution(strength, folds)
        return self._solved[strength, folds]

    def error(self, strength: float) -> float:
        """The mean squared error of predictions for the rows of each fold, by a solution without that fold.

        It needs no row: it is `y'y - 2 b'X'y + b'X'X b`, of which the sums are known.

        Args:
            strength: the penalty, as in `solved`.

        Raises:
            DataError: no rows are left without some fold.
        """
        total = 0.0
        for fold in range(self.folds):
            slopes = self.solved(strength, without=fold)
            explained = slopes.T @ self._squares[fold] @ slopes
            total += self._targets[fold] - 2 * float((slopes * self._products[fold]).sum())
            total += float(np.trace(explained))
        return total / float(self.weights.sum())

    def _solution(self, strength: float, chosen: tuple[int, ...]) -> Floats:
        for fold in range(self.folds):
            self._multiply(fold)
        weight = float(self.weights[list(chosen)].sum())
        if weight <= 0:
            raise DataError("there are no boxes to learn from in the pictures that remain for this fold")
        squares = functools.reduce(np.add, (self._squares[fold] for fold in chosen))
        products = self._products[list(chosen)].sum(axis=0)
        mean, target = squares[-1, :-1] / weight, products[-1] / weight
        centred = squares[:-1, :-1] - np.outer(weight * mean, mean)
        aimed = products[:-1] - weight * np.outer(mean, target)
        spread = float(np.trace(centred)) / max(1, self.width)
        centred[np.diag_indices(self.width)] += strength * spread + 1e-9 * max(spread, 1e-30)
        slopes = np.linalg.solve(centred, aimed)
        return np.concatenate([slopes, (target - mean @ slopes)[None]])
