"""Head2Toe (Evci et al. 2022): logistic regression on the features of all stages that a lasso selects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from regraft.data.splits import stratified
from regraft.heads.head import softmax
from regraft.heads.many_rows import HeldSample, by_key, held_sample, is_small, rows_on_disk
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
from regraft.heads.solving.metric import metric_of
from regraft.heads.solving.row_blocks import RowBlocks, blocks_of, part_of, scores_of
from regraft.heads.solving.solver import LinearProblems, solve

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
_SHARES = (0.01, 0.03, 0.1, 0.3)
_MIDDLING_SHARE = 0.1
_STRENGTH = 100.0
_LASSO = 0.05  # penalty, as a share of the one at which no feature is left
_ROUNDS = 60
_FINE, _USUAL = 5e-4, 2e-3  # tolerances; the second where a strength is chosen by the result
_RANKED_BYTES, _LEAST_RANKED = 500_000_000, 2_000  # of the rows that rank the features of many


def fit_head2toe(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a Head2Toe head; cross-validation, with a selection in every fold, chooses the share of features.

    Deviations from the paper: features are standardised by stage, as for all heads here, while the paper
    normalises each stage's vector; the final logistic regression is solved, while the paper trains it.

    Args:
        data: the training images.
        columns: the columns of all stages from which features are selected.
        gauge: receives how much is done.
    """
    held = held_sample(data)
    if held is not None:
        return _fit_many(data, held, columns, gauge)
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
    own = _solved(rows[:, chosen], data, np.ones(len(rows), dtype=bool))
    return _assembled(data, columns, standard, chosen, own, share=share, scores=scores[share])


def _fit_many(
    data: TrainingRows, held: HeldSample, columns: Candidate, gauge: Gauge | None = None
) -> FittedHead:
    """The same on many rows: a sample ranks the features and chooses their share; see `many_rows`.

    Of all rows, only the features that were chosen are in memory.
    """
    standard, read = rows_on_disk(data, columns)
    steps = (gauge or Gauge()).part(len(_SHARES) + 3)
    ranks, share = _chosen_on_sample(data, held, read, steps)
    chosen = ranks[: _size(share, len(ranks))]
    rows = _chosen_rows(data, columns, standard, chosen)
    length = _mean_length(rows)
    if isinstance(rows, RowBlocks):
        rows = replace(rows, scale=rows.scale / np.float32(length))
    else:
        rows /= length
    metric, marks = metric_of(part_of(rows, held.search)), held.trained(len(rows))
    problems = LinearProblems(rows, data.targets, data.num_outputs, marks)
    start = solve(problems, _STRENGTH, tolerance=_USUAL, metric=metric, tell=steps.within)
    steps.finish()
    scores = scores_of(rows, held.rows, start[0])
    whole = replace(problems, rows=np.ones_like(marks))
    weights = solve(whole, _STRENGTH, start=start, tolerance=_FINE, metric=metric, tell=steps.within)[0]
    weights[:-1] /= length
    steps.end()
    return _assembled(data, columns, standard, chosen, weights, share=share, scores=scores, sample=held.rows)


def _chosen_on_sample(
    data: TrainingRows, held: HeldSample, read: Callable[[Ints], Floats], steps: Gauge
) -> tuple[Ints, float]:
    """Feature numbers, the most relevant first, and the share of them that predicts the held-out rows best.

    Both come from as many rows of the sample as fit into half a gigabyte with all their features.
    """
    width = read(held.rows[:1]).shape[1]
    most = min(len(held.search), max(_LEAST_RANKED, _RANKED_BYTES // (4 * width)))
    sample = held.search[stratified(data.strata[held.search], most, seed=data.seed)]
    rows = _gathered(read, sample, np.arange(width))
    ranks = _ranked(rows, data.targets[sample], data.num_outputs)
    steps.finish()
    if data.doubt:
        return ranks, _MIDDLING_SHARE
    first = ranks[: _size(max(_SHARES), width)]
    rows, left_out, known = rows[:, first], _gathered(read, held.rows, first), data.targets[held.rows]
    every = np.ones((1, len(sample)), dtype=bool)
    found: dict[float, float] = {}
    for share in _SHARES:
        some = rows[:, : _size(share, width)]
        length = _mean_length(some)
        problems = LinearProblems(some / length, data.targets[sample], data.num_outputs, every)
        weights = solve(problems, _STRENGTH, tolerance=_USUAL, tell=steps.within)[0]
        scores = left_out[:, : some.shape[1]] @ (weights[:-1] / length) + weights[-1]
        found[share] = standing(data.task, scores, known)
        steps.finish()
    return ranks, max(_SHARES, key=found.__getitem__)


def _size(share: float, width: int) -> int:
    return max(1, round(share * width))


def _gathered(read: Callable[[Ints], Floats], chosen: Ints, features: Ints) -> Floats:
    """Some features of some rows, `(n, features) float32`."""
    rows = np.empty((len(chosen), len(features)), dtype=np.float32)
    start = 0
    for own in blocks_of(chosen, read(chosen[:1]).shape[1]):
        rows[start : start + len(own)] = read(own)[:, features]
        start += len(own)
    return rows


def _chosen_rows(
    data: TrainingRows, columns: Candidate, standard: Standard, chosen: Ints
) -> Floats | RowBlocks:
    """Some features of all rows, standardised, `(N, n)`."""
    own = Standard(standard.mean[chosen], standard.scale[chosen])
    stored: Floats | None = None
    for some in blocks_of(by_key(data, np.arange(len(data.keys))), len(standard.mean)):
        part = data.features.stored([data.keys[row] for row in some], columns)[:, chosen]
        stored = np.empty((len(data.keys), len(chosen)), dtype=part.dtype) if stored is None else stored
        stored[some] = part
    assert stored is not None
    if is_small(len(stored), len(chosen)):
        return own.apply(stored.astype(np.float32))
    return RowBlocks(stored, own.mean, own.scale)


def _mean_length(rows: Floats | RowBlocks) -> float:
    """The root of the mean squared length of rows; 1 where all are zero."""
    blocks = blocks_of(np.arange(len(rows)), rows.shape[1])
    total = sum(float(np.square(rows[own], dtype=np.float64).sum()) for own in blocks)
    return (total / len(rows)) ** 0.5 or 1.0


def _assembled(
    data: TrainingRows,
    columns: Candidate,
    standard: Standard,
    chosen: Ints,
    own: Floats,
    *,
    share: float,
    scores: Floats,
    sample: Ints | None = None,
) -> FittedHead:
    """The head with weights and intercepts `(n + 1, K)` of the chosen columns, and zero for all others."""
    width = len(standard.mean)
    weights = np.zeros((width + 1, data.num_outputs), dtype=np.float32)
    weights[chosen], weights[-1] = own[:-1], own[-1]
    scale = standard.scale.copy()
    scale[np.setdiff1d(np.arange(width), chosen)] = 0
    return finished(
        data,
        "head2toe",
        columns,
        standard=Standard(standard.mean, scale),
        arrays={"weights": weights[:-1], "intercepts": weights[-1]},
        hyperparameters={"C": _STRENGTH, "share": share},
        scores=scores,
        sample=sample,
    )


def _solved(rows: Floats, data: TrainingRows, kept: Bools) -> Floats:
    # Rows have unit length over all stages, but little on a few columns: C is meant for rows of unit length.
    length = float(np.sqrt(np.square(rows).sum(axis=1).mean())) or 1.0
    problems = LinearProblems(rows / length, data.targets, data.num_outputs, kept[None])
    weights: Floats = solve(problems, _STRENGTH, tolerance=_FINE)[0]
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
