"""Logistic regressions of several labels on many rows: strengths from a sample, one solve of all rows.

The labels are independent, as in `label_solver`, and each has its own strength. Rows stay as they are stored
(`row_blocks`); labels are solved in blocks, because of each one it must be known which rows it uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.heads.solving.gauge import Gauge
from regraft.heads.solving.label_solver import STRENGTHS, SolvedLabels, label_fits, label_losses
from regraft.heads.solving.metric import Metric, metric_of
from regraft.heads.solving.row_blocks import RowBlocks, part_of, scores_of

Floats = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_USUAL, _FINE = 2e-3, 3e-4  # tolerances where a strength is chosen by the result, and of the result
_MOST_MARKS = 10_000_000  # marks of which rows each label uses that are held at once; each takes 20 bytes


@dataclass(frozen=True)
class Parts:
    """Numbers of rows: those that are held out, those of other groups, and a sample of these."""

    held: Ints
    others: Ints
    search: Ints


def solve_many_labels(
    rows: Floats | RowBlocks,
    targets: Floats,
    parts: Parts,
    *,
    strengths: Sequence[float] = STRENGTHS,
    gauge: Gauge | None = None,
) -> SolvedLabels:
    """Fit a logistic regression to each label, on the rows of which it is known whether they have it.

    The strength of each label is chosen by fits on the sample, which predict the rows that are held out. Fits
    on all others predict them again, at that strength and at those below it as long as they predict better.
    The result's scores `out_of_fold` are of the held-out rows alone, `(held, K)`.

    Args:
        rows: standardised features `(N, D)`.
        targets: `(N, K)`, 1 present, 0 absent, NaN unknown.
        parts: which rows are held out, and which predict them.
        strengths: values of C, in rising order.
        gauge: receives how much is done.
    """
    width = targets.shape[1]
    size = max(1, _MOST_MARKS // len(rows))
    steps = (gauge or Gauge()).part(-(-width // size))
    sample = part_of(rows, parts.search)
    metric = metric_of(sample)
    blocks = []
    for start in range(0, width, size):
        own = _ManyLabels(rows, targets[:, start : start + size], parts, tuple(strengths), metric)
        blocks.append(own.solved(sample, steps))
        steps.finish()
    return SolvedLabels(
        np.concatenate([block.weights for block in blocks], axis=1),
        np.concatenate([block.strengths for block in blocks]),
        np.concatenate([block.out_of_fold for block in blocks], axis=1),
    )


@dataclass(frozen=True)
class _ManyLabels:
    """Some of the labels on many rows."""

    rows: Floats | RowBlocks
    targets: Floats
    parts: Parts
    strengths: tuple[float, ...]
    metric: Metric

    def solved(self, sample: Floats | RowBlocks, gauge: Gauge) -> SolvedLabels:
        """The labels' regressions; see `solve_many_labels`.

        Args:
            sample: the rows of the sample.
            gauge: receives how much is done.
        """
        steps = gauge.part(len(self.strengths) + 3)
        places, start = self._searched(sample, steps)
        places, scores, start = self._lowered(places, start, steps)
        chosen = np.array(self.strengths)[places]
        every = np.ones((1, len(self.rows)), dtype=bool)
        final = label_fits(self.rows, self.targets, every, chosen, start, _FINE, steps, self.metric)[0]
        steps.end()
        return SolvedLabels(final.T, chosen, scores)

    def _searched(self, sample: Floats | RowBlocks, steps: Gauge) -> tuple[Ints, Floats]:
        """The place of each label's strength, `(K,)`, and the weights on the sample, `(1, K, D + 1)`.

        A label's path ends when two strengths in a row are no better.
        """
        targets, count = self.targets[self.parts.search], self.targets.shape[1]
        every = np.ones((1, len(sample)), dtype=bool)
        best = _Best(count, self.rows)
        active = np.arange(count)
        weights: Floats | None = None
        for place, strength in enumerate(self.strengths):
            weights = label_fits(
                sample, targets[:, active], every, strength, weights, _USUAL, steps, self.metric
            )
            best.note(active, place, self._losses(active, weights)[0], weights)
            goes_on = best.worse[active] < 2
            active, weights = active[goes_on], weights[:, goes_on]
            steps.finish()
            if not len(active):
                break
        return best.places, best.weights

    def _lowered(self, places: Ints, start: Floats, steps: Gauge) -> tuple[Ints, Floats, Floats]:
        """The same by fits on all rows that are not held out, and their scores `(held, K)`."""
        marks = np.zeros((1, len(self.rows)), dtype=bool)
        marks[0, self.parts.others] = True
        best, scores = _Best(len(places), self.rows), np.zeros((len(self.parts.held), len(places)))
        active, own = np.arange(len(places)), places.copy()
        while len(active):
            chosen = np.array(self.strengths)[own[active]]
            start = label_fits(
                self.rows, self.targets[:, active], marks, chosen, start, _USUAL, steps, self.metric
            )
            losses, found = self._losses(active, start)
            is_better = best.note(active, own[active], losses, start)
            scores[:, active[is_better]] = found[:, is_better]
            goes_on = is_better & (own[active] > 0)
            active, start = active[goes_on], start[:, goes_on]
            own[active] -= 1
        steps.finish()
        return best.places, scores, best.weights

    def _losses(self, active: Ints, weights: Floats) -> tuple[Floats, Floats]:
        """Mean negative log-likelihoods `(k,)` on the held-out rows, and the scores `(held, k)`."""
        found = scores_of(self.rows, self.parts.held, weights[0].T)
        return label_losses(found, self.targets[np.ix_(self.parts.held, active)]), found


class _Best:
    """The best strength of each label so far, and the weights that it gave.

    Args:
        count: number of labels K.
        rows: the rows `(N, D)`, whose number of columns and precision the weights have.
    """

    def __init__(self, count: int, rows: Floats | RowBlocks) -> None:
        self.places = np.zeros(count, dtype=np.int64)
        self.weights = np.zeros((1, count, rows.shape[1] + 1), dtype=rows.dtype)
        self.worse = np.zeros(count, dtype=np.int64)
        self._losses = np.full(count, np.inf)

    def note(self, labels: Ints, places: int | Ints, losses: Floats, weights: Floats) -> Bools:
        """Compare some labels' new losses with the best so far; returns which of them are better."""
        is_better: Bools = losses < self._losses[labels]
        better = labels[is_better]
        self._losses[better] = losses[is_better]
        self.places[better] = np.broadcast_to(places, len(labels))[is_better]
        self.weights[:, better] = weights[:, is_better]
        self.worse[labels] = np.where(is_better, 0, self.worse[labels] + 1)
        return is_better
