"""Ridge regression of a number on many rows, by normal equations that are added up block by block.

The memory grows with the square of the columns and not with the rows. See `shrinkage` for fewer rows, where
each one is left out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from regraft.heads.solving.gauge import Gauge
from regraft.heads.solving.row_blocks import RowBlocks, blocks_of, scores_of
from regraft.heads.solving.shrinkage import STRENGTHS, SolvedNumber

Floats = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_COARSE = 4  # every fourth strength is tried first, a factor of ten apart, then the ones around the best


@dataclass
class NumberEquations:
    """Sums over rows x and their numbers y, from which a ridge regression is solved at any strength.

    In double precision: in single precision, rounding would be larger than the smallest penalties.
    """

    gram: Doubles
    """Sum of `x x'`, `(D, D)`."""
    products: Doubles
    """Sum of `x y`, `(D,)`."""
    sums: Doubles
    """Sum of x, `(D,)`."""
    total: float
    """Sum of y."""
    count: int

    @classmethod
    def of(cls, rows: Floats | RowBlocks, targets: Floats, chosen: Ints) -> NumberEquations:
        """The sums over some rows.

        Args:
            rows: standardised features `(N, D)`.
            targets: the numbers `(N,)`.
            chosen: which rows are added up.
        """
        width = rows.shape[1]
        found = cls(np.zeros((width, width)), np.zeros(width), np.zeros(width), 0.0, len(chosen))
        for own in blocks_of(chosen, 2 * width):  # they become twice as large in double precision
            part, known = rows[own].astype(np.float64), targets[own].astype(np.float64)
            found.gram += part.T @ part
            found.products += known @ part
            found.sums += part.sum(axis=0)
            found.total += float(known.sum())
        return found

    def add(self, other: NumberEquations) -> None:
        """Add the sums over other rows."""
        self.gram += other.gram
        self.products += other.products
        self.sums += other.sums
        self.total += other.total
        self.count += other.count

    def weights(self, strength: float) -> Doubles:
        """Weights and intercept `(D + 1, 1)`, the intercept last.

        They minimise the sum of squares of `x w + b - y` plus |w|^2 / C, with the strength C.

        >>> rows = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> sums = NumberEquations.of(rows, np.array([1.0, 3.0, 5.0, 7.0]), np.arange(4))
        >>> sums.weights(1e6).round(3).ravel()
        array([2., 1.])
        """
        mean, middle = self.sums / self.count, self.total / self.count
        system = self.gram.copy()
        system -= np.outer(self.sums, mean)
        system[np.diag_indices(len(system))] += 1 / strength
        factor = cho_factor(system.T, lower=True, overwrite_a=True, check_finite=False)
        weights = cho_solve(factor, self.products - self.sums * middle, check_finite=False)
        return np.append(weights, middle - mean @ weights)[:, None]


def solve_many_numbers(
    rows: Floats | RowBlocks,
    targets: Floats,
    held: Ints,
    others: Ints,
    *,
    strengths: Sequence[float] = STRENGTHS,
    gauge: Gauge | None = None,
) -> SolvedNumber:
    """Fit a ridge regression on all rows, with the strength by which others predict the held-out rows best.

    The result's `out_of_fold` are the predictions `(held, 1)` by the fit on the others.

    Args:
        rows: standardised features `(N, D)`.
        targets: the numbers `(N,)`.
        held: the rows that are held out.
        others: the rows of other groups.
        strengths: values of C, in rising order; a single one is taken as it is.
        gauge: receives how much is done.
    """
    steps = (gauge or Gauge()).part(4)
    sums = NumberEquations.of(rows, targets, others)
    steps.finish(2)
    errors: dict[int, tuple[float, Doubles]] = {}

    def note(place: int) -> None:
        predicted = scores_of(rows, held, sums.weights(strengths[place]))
        errors[place] = float(np.mean((predicted[:, 0] - targets[held]) ** 2)), predicted

    def best() -> int:
        return min(sorted(errors), key=lambda place: errors[place][0])

    for place in range(0, len(strengths), _COARSE):
        note(place)
    near = range(max(0, best() - _COARSE + 1), min(len(strengths), best() + _COARSE))
    for place in near:
        if place not in errors:
            note(place)
    steps.finish()
    chosen = best()
    sums.add(NumberEquations.of(rows, targets, np.setdiff1d(np.arange(len(rows)), others)))
    solved = SolvedNumber(sums.weights(strengths[chosen]), strengths[chosen], errors[chosen][1])
    steps.end()
    return solved
