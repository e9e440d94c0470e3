"""Head2Toe (Evci et al. 2022): logistic regression on the features of all stages that a lasso selects."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from regraft.heads.head import softmax
from regraft.heads.rows import (
    Candidate,
    FittedHead,
    Floats,
    Standard,
    TrainingRows,
    finished,
    standardised,
    standing,
)
from regraft.heads.solving.gauge import Gauge
from regraft.heads.solving.solver import LinearProblems, solve

Bools = npt.NDArray[np.bool_]
_SHARES = (0.01, 0.03, 0.1, 0.3)
_MIDDLING_SHARE = 0.1
_STRENGTH = 100.0
_LASSO = 0.05  # penalty, as a share of the one at which no feature is left
_ROUNDS = 60


def fit_head2toe(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a Head2Toe head; cross-validation, with a selection in every fold, chooses the share of features.

    Deviations from the paper: features are standardised by stage, as for all heads here, while the paper
    normalises each stage's vector; the final logistic regression is solved, while the paper trains it.

    Args:
        data: the training images.
        columns: the columns of all stages from which features are selected.
        gauge: receives how much is done.
    """
    standard, rows = standardised(data, columns)
    folds = int(data.folds.max()) + 1
    steps = (gauge or Gauge()).part(folds + 1)
    scores = {share: np.empty((len(rows), data.num_outputs)) for share in _SHARES}
    for fold in range(folds):
        kept = data.folds != fold
        ranks = _ranked(rows[kept], data.targets[kept], data.num_outputs)
        for share in _SHARES:
            chosen = ranks[: max(1, round(share * rows.shape[1]))]
            weights = _solved(rows[:, chosen], data, kept)
            scores[share][~kept] = rows[~kept][:, chosen] @ weights[:-1] + weights[-1]
        steps.finish()
    share = (
        _MIDDLING_SHARE
        if data.doubt
        else max(_SHARES, key=lambda one: standing(data.task, scores[one], data.targets))
    )
    chosen = _ranked(rows, data.targets, data.num_outputs)[: max(1, round(share * rows.shape[1]))]
    weights = np.zeros((rows.shape[1] + 1, data.num_outputs), dtype=np.float32)
    own = _solved(rows[:, chosen], data, np.ones(len(rows), dtype=bool))
    weights[chosen], weights[-1] = own[:-1], own[-1]
    unread = np.setdiff1d(np.arange(rows.shape[1]), chosen)
    scale = standard.scale.copy()
    scale[unread] = 0
    return finished(
        data,
        "head2toe",
        columns,
        standard=Standard(standard.mean, scale),
        arrays={"weights": weights[:-1], "intercepts": weights[-1]},
        hyperparameters={"C": _STRENGTH, "share": share},
        scores=scores[share],
    )


def _solved(rows: Floats, data: TrainingRows, kept: Bools) -> Floats:
    # Rows have unit length over all stages, but little on a few columns: C is meant for rows of unit length.
    length = float(np.sqrt(np.square(rows).sum(axis=1).mean())) or 1.0
    problems = LinearProblems(rows / length, data.targets, data.num_outputs, kept[None])
    weights: Floats = solve(problems, _STRENGTH, tolerance=5e-4)[0]
    weights[:-1] /= length
    return weights


def _ranked(rows: Floats, labels: npt.NDArray[np.int64], num_classes: int) -> npt.NDArray[np.int64]:
    """Feature numbers, the most relevant first: by the norms of lasso weights, then by gradient."""
    relevance, gradient = group_lasso(rows, labels, num_classes)
    return np.lexsort((-gradient, -relevance))


def group_lasso(
    rows: Floats, labels: npt.NDArray[np.int64], num_classes: int, *, share: float = _LASSO
) -> tuple[Floats, Floats]:
    """Norms `(D,)` of each feature's weights in a group lasso, and of its gradient at zero weights.

    The lasso minimises mean cross-entropy + penalty x sum of the norms of each feature's K weights (Yuan &
    Lin 2006) by accelerated proximal gradient (Beck & Teboulle 2009); intercepts are class frequencies.

    Args:
        rows: standardised features `(N, D)`.
        labels: class numbers `(N,)`.
        num_classes: number of classes K.
        share: the penalty, as a share of the smallest one at which all weights are zero.
    """
    count = len(rows)
    targets = np.zeros((count, num_classes), dtype=rows.dtype)
    targets[np.arange(count), labels] = 1
    offsets = np.log(targets.mean(axis=0) + 1 / count)
    start = rows.T @ (softmax(np.tile(offsets, (count, 1))) - targets) / count
    norms = np.linalg.norm(start, axis=1)
    penalty = share * float(norms.max())
    step = 1 / max(0.5 * _largest_square(rows) / count, 1e-12)
    weights = np.zeros_like(start)
    ahead, momentum = weights.copy(), 1.0
    for _ in range(_ROUNDS):
        slope = rows.T @ (softmax(rows @ ahead + offsets) - targets) / count
        moved = ahead - step * slope
        size = np.linalg.norm(moved, axis=1, keepdims=True)
        moved *= np.maximum(1 - step * penalty / np.maximum(size, 1e-30), 0)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = moved + (momentum - 1) / following * (moved - weights)
        weights, momentum = moved, following
    return np.linalg.norm(weights, axis=1), norms


def _largest_square(rows: Floats) -> float:
    """The largest eigenvalue of `rows' rows` by power iteration, with a margin of 10 %."""
    vector = np.full(rows.shape[1], rows.shape[1] ** -0.5, dtype=rows.dtype)
    size = 0.0
    for _ in range(20):
        vector = rows.T @ (rows @ vector)
        size = float(np.linalg.norm(vector))
        if size == 0:
            return 0.0
        vector /= size
    return 1.1 * size
