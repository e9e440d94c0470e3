"""Logistic regressions of several labels an image: independent, but solved side by side.

Each label has its own strength, because labels differ in how many images have them and in how clearly they
show; the strengths of all of them are on one path anyway, so choosing for each costs nothing. Above all,
labels remain independent: what is known of one label, or whether it is there at all, changes no other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.heads.solving.gauge import Gauge
from regraft.heads.solving.metric import Metric
from regraft.heads.solving.row_blocks import RowBlocks
from regraft.heads.solving.solver import LinearProblems, solve

Floats = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Values of C to choose from; with one of them, nothing is chosen."""
_TOLERANCE = 2e-3
_MOST_MARKS = 50_000_000  # marks of which images each problem uses that are held at once: 400 MB


@dataclass(frozen=True)
class SolvedLabels:
    """The logistic regressions of K labels."""

    weights: Floats
    """Weights and intercepts `(D + 1, K)`; intercepts last."""
    strengths: npt.NDArray[np.float64]
    """C of each label, `(K,)`."""
    out_of_fold: npt.NDArray[np.float64]
    """Scores (log-odds) `(N, K)` of each row by fits on the rows of the other folds."""


def solve_labels(
    rows: Floats,
    targets: Floats,
    folds: Ints,
    *,
    strengths: Sequence[float] = STRENGTHS,
    gauge: Gauge | None = None,
) -> SolvedLabels:
    """Fit a logistic regression to each label, on the images of which it is known whether they have it.

    Each label's strength is the one with the smallest log-loss on left-out folds; its path ends when two
    strengths in a row are no better. Where all known images of a fit have the label, or none, its
    probability is their share, smoothed by one, for every image.

    Args:
        rows: standardised features `(N, D)`, float32 or float64.
        targets: `(N, K)`, 1 present, 0 absent, NaN unknown.
        folds: fold of each row, `(N,)`, numbered from 0, at least two of them.
        strengths: values of C, in rising order.
        gauge: receives how much is done.
    """
    width = targets.shape[1]
    size = max(1, _MOST_MARKS // (len(rows) * (int(folds.max()) + 1)))
    steps = (gauge or Gauge()).part(-(-width // size))
    blocks = []
    for start in range(0, width, size):
        blocks.append(_solved(rows, targets[:, start : start + size], folds, strengths, steps))
        steps.finish()
    return SolvedLabels(
        np.concatenate([block.weights for block in blocks], axis=1),
        np.concatenate([block.strengths for block in blocks]),
        np.concatenate([block.out_of_fold for block in blocks], axis=1),
    )


def _solved(
    rows: Floats, targets: Floats, folds: Ints, strengths: Sequence[float], gauge: Gauge
) -> SolvedLabels:
    """The labels of one block."""
    width = targets.shape[1]
    steps = gauge.part(len(strengths) + 1)
    trained = np.stack([folds != fold for fold in range(int(folds.max()) + 1)])
    best_loss, worse = np.full(width, np.inf), np.zeros(width, dtype=np.int64)
    chosen, scores = np.full(width, strengths[0]), np.zeros(targets.shape)
    active = np.arange(width)
    weights: Floats | None = None
    for strength in strengths:
        weights = label_fits(rows, targets[:, active], trained, strength, weights, _TOLERANCE, steps)
        found = _held_scores(rows, weights, trained)
        loss = label_losses(found, targets[:, active])
        is_better = loss < best_loss[active]
        better = active[is_better]
        best_loss[better], chosen[better] = loss[is_better], strength
        scores[:, better] = found[:, is_better]
        worse[active] = np.where(is_better, 0, worse[active] + 1)
        goes_on = worse[active] < 2
        active, weights = active[goes_on], weights[:, goes_on]
        steps.finish()
        if not len(active):
            break
    every = np.ones((1, len(rows)), dtype=bool)
    final = label_fits(rows, targets, every, chosen, None, 3e-4, steps)[0]
    steps.end()
    return SolvedLabels(final.T, chosen, scores)


def label_fits(
    rows: Floats | RowBlocks,
    targets: Floats,
    trained: Bools,
    strength: float | Floats,
    start: Floats | None,
    tolerance: float,
    steps: Gauge,
    metric: Metric | None = None,
) -> Floats:
    """Weights `(F, K, D + 1)` of each label on the known ones of the rows of each of F sets `(F, N)`.

    A label of which all known rows, or none, have it gets the smoothed share of them for every row.
    """
    sets, width = len(trained), targets.shape[1]
    is_known, present = ~np.isnan(targets), targets > 0
    used = (trained[:, None] & is_known.T[None]).reshape(sets * width, -1)
    counts = used.sum(axis=1)
    positives = (used & np.tile(present.T, (sets, 1))).sum(axis=1)
    is_open = (positives > 0) & (positives < counts)
    problems = LinearProblems(
        rows, np.tile(present, (1, sets)).astype(np.int64), 1, used & is_open[:, None], "sigmoid"
    )
    flat = None if start is None else start.reshape(sets * width, -1, 1)
    strengths = np.broadcast_to(np.asarray(strength, dtype=np.float64), (sets, width)).reshape(-1)
    found = solve(problems, strengths, start=flat, tolerance=tolerance, metric=metric, tell=steps.within)
    weights = found[:, :, 0]
    odds = np.log((positives + 1) / (counts - positives + 1))
    weights[~is_open] = 0
    weights[~is_open, -1] = odds[~is_open]
    return weights.reshape(sets, width, -1)


def _held_scores(rows: Floats, weights: Floats, trained: Bools) -> npt.NDArray[np.float64]:
    """Scores `(N, K)` of the rows that each set leaves out."""
    scores = np.zeros((len(rows), weights.shape[1]))
    for own, used in zip(weights, trained, strict=True):
        scores[~used] = rows[~used] @ own[:, :-1].T + own[:, -1]
    return scores


def label_losses(scores: Floats, targets: Floats) -> npt.NDArray[np.float64]:
    """Mean negative log-likelihood of each label in nats, `(K,)`, over its known rows; 0 without any.

    Args:
        scores: log-odds `(N, K)`.
        targets: `(N, K)`, 1 present, 0 absent, NaN unknown.

    >>> label_losses(np.zeros((2, 1)), np.array([[1.0], [np.nan]])).round(3)
    array([0.693])
    """
    is_known = ~np.isnan(targets)
    losses = np.logaddexp(0, np.where(targets > 0, -scores, scores))
    means: npt.NDArray[np.float64] = np.where(is_known, losses, 0).sum(axis=0)
    means /= np.maximum(is_known.sum(axis=0), 1)
    return means
