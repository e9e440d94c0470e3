"""Heads that are linear in standardised features, and the nearest-centroid head."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from regraft.heads.head import softmax, squared_distances
from regraft.heads.kernel_machines import by_class
from regraft.heads.many_rows import HeldSample, by_key, held_sample, row_blocks, rows_on_disk
from regraft.heads.rows import (
    Candidate,
    FittedHead,
    Floats,
    TrainingRows,
    accuracy,
    finished,
    log_loss,
    measure_of,
    shortfall,
    standardised,
)
from regraft.heads.solving.gauge import Gauge
from regraft.heads.solving.metric import Metric, metric_of
from regraft.heads.solving.row_blocks import RowBlocks, blocks_of, part_of, scores_of
from regraft.heads.solving.row_space import row_space
from regraft.heads.solving.solver import LinearProblems, Loss, solve
from regraft.records import HeadKind

_STRENGTHS: dict[Loss, tuple[float, ...]] = {
    "softmax": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
    "squared-hinge": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
}
_MIDDLING_STRENGTHS: dict[Loss, float] = {"softmax": 100.0, "squared-hinge": 1.0}
_USUAL = 2e-3  # tolerance that is fine enough to choose a strength
_ROUGH = 1e-2  # tolerance for very many scores: half the time, and log-loss is no larger
_MANY_SCORES = 4_000_000  # above it, the search for the strength would take minutes
_EVALUATIONS = 200  # about as many as a search for the strength takes; a single strength takes a fifth
_FAR = 1e3  # where the mean of a class without rows is put, so that no image is nearest to it


def fit_logistic(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a multinomial logistic regression; its probabilities need no calibration."""
    return _fit_linear(data, columns, gauge, kind="logistic", loss="softmax")


def fit_linear_svm(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a calibrated one-against-rest linear SVM with squared hinge loss."""
    return _fit_linear(data, columns, gauge, kind="linear-svm", loss="squared-hinge")


def _fit_linear(
    data: TrainingRows, columns: Candidate, gauge: Gauge | None, *, kind: HeadKind, loss: Loss
) -> FittedHead:
    held = held_sample(data)
    if held is None:
        standard, rows = standardised(data, columns)
        space = row_space(rows, _EVALUATIONS * _scores_together(data))
        steps = (gauge or Gauge()).part(2)
        strength, scores = choose_strength(data, space.rows, loss, gauge=steps)
        steps.finish()
        weights = space.weights(solve_all(data, space.rows, loss, strength, steps))
        steps.end()
    else:
        standard, blocks = row_blocks(data, columns)
        strength, scores, weights = solve_many(data, held, blocks, loss, gauge)
    return finished(
        data,
        kind,
        columns,
        standard=standard,
        arrays={"weights": weights[:-1], "intercepts": weights[-1]},
        hyperparameters={"C": strength},
        scores=scores,
        temperature=1.0 if loss == "softmax" else None,
        sample=None if held is None else held.rows,
    )


def solve_all(
    data: TrainingRows,
    rows: Floats | RowBlocks,
    loss: Loss,
    strength: float,
    gauge: Gauge | None = None,
    *,
    start: Floats | None = None,
    metric: Metric | None = None,
) -> Floats:
    """Solve for weights and intercepts `(D + 1, K)` on all rows, at one strength."""
    every = np.ones((1, len(rows)), dtype=bool)
    problems = LinearProblems(rows, data.targets, data.num_outputs, every, loss)
    tell = gauge.within if gauge else None
    weights: Floats = solve(problems, strength, start=start, metric=metric, tell=tell)[0]
    return weights


def solve_many(
    data: TrainingRows, held: HeldSample, rows: Floats | RowBlocks, loss: Loss, gauge: Gauge | None = None
) -> tuple[float, Floats, Floats]:
    """The strength that was chosen on a sample, scores of the rows that are held out, and the weights.

    The scores `(held, K)` are by a head that was fitted on all other rows, the weights and intercepts
    `(D + 1, K)` are solved on all rows; see `many_rows`. Both start from the optimum before.
    """
    steps = (gauge or Gauge()).part(4)
    known, sample = data.targets[held.rows], part_of(rows, held.search)
    metric = metric_of(sample)
    strength, start = _searched_on_sample(data, held, sample, rows, loss, metric, steps)
    steps.finish()
    problems = LinearProblems(rows, data.targets, data.num_outputs, held.trained(len(rows)), loss)
    best: tuple[tuple[float, ...], float, Floats, Floats] | None = None
    for tried in _and_lower(strength, loss, is_certain=not data.doubt):
        start = solve(problems, tried, start=start, tolerance=_USUAL, metric=metric, tell=steps.within)
        scores = scores_of(rows, held.rows, start[0])
        value = _shortfall(data, scores, known, loss)
        if best is not None and value >= best[0]:
            break
        best = (value, tried, scores, start)
        steps.finish()
    assert best is not None
    weights = solve_all(data, rows, loss, best[1], steps, start=best[3], metric=metric)
    steps.end()
    return best[1], best[2], weights


def _and_lower(strength: float, loss: Loss, *, is_certain: bool) -> list[float]:
    """A strength and those below it, the largest first: more rows need a stronger penalty, if any other."""
    below = [one for one in reversed(_STRENGTHS[loss]) if one < strength]
    return [strength, *(below if is_certain else [])]


def _searched_on_sample(
    data: TrainingRows,
    held: HeldSample,
    sample: Floats | RowBlocks,
    rows: Floats | RowBlocks,
    loss: Loss,
    metric: Metric,
    gauge: Gauge,
) -> tuple[float, Floats]:
    """The strength that predicts the held-out rows best, fitted on a sample, and its weights `(1, D + 1, K)`.

    The search ends when two strengths in a row are no better.
    """
    every = np.ones((1, len(sample)), dtype=bool)
    problems = LinearProblems(sample, data.targets[held.search], data.num_outputs, every, loss)
    tried = (_MIDDLING_STRENGTHS[loss],) if data.doubt else _STRENGTHS[loss]
    steps = gauge.part(len(tried))
    best: tuple[tuple[float, ...], float, Floats] | None = None
    weights, worse = None, 0
    for strength in tried:
        weights = solve(problems, strength, start=weights, tolerance=_USUAL, metric=metric, tell=steps.within)
        scores = scores_of(rows, held.rows, weights[0])
        value = _shortfall(data, scores, data.targets[held.rows], loss)
        if best is None or value < best[0]:
            best, worse = (value, strength, weights), 0
        else:
            worse += 1
        steps.finish()
        if worse == 2:
            break
    assert best is not None
    return best[1], best[2]


def cross_validated_logistic(data: TrainingRows, columns: Candidate) -> Floats:
    """Out-of-fold scores `(N, K)` at a medium strength, solved just precisely enough for accuracy."""
    rows = standardised(data, columns)[1]
    space = row_space(rows, _EVALUATIONS // 5 * _scores_together(data))
    return choose_strength(
        data, space.rows, "softmax", strengths=(_MIDDLING_STRENGTHS["softmax"],), tolerance=1e-2
    )[1]


def _scores_together(data: TrainingRows) -> int:
    """How many scores each image gets when all folds are evaluated once."""
    return data.num_outputs * (int(data.folds.max()) + 1)


def choose_strength(
    data: TrainingRows,
    rows: Floats,
    loss: Loss,
    *,
    strengths: Sequence[float] | None = None,
    tolerance: float = _USUAL,
    gauge: Gauge | None = None,
) -> tuple[float, Floats]:
    """The strength with the smallest cross-validated loss, and its out-of-fold scores; see `rows.shortfall`.

    All folds are solved together; each strength starts from the optima of the one before. The search
    ends when two strengths in a row are no better. With very many scores (images x classes x folds), the
    strength is chosen on one fold, the other folds are solved at that strength alone, and all of them less
    precisely.

    Args:
        data: the training images.
        rows: standardised features of the training images.
        loss: the head's loss.
        strengths: the strengths to choose from, in rising order; None means those of the loss.
        tolerance: see `solve`.
        gauge: receives how much is done.
    """
    every = np.arange(int(data.folds.max()) + 1)
    tried = strengths or ((_MIDDLING_STRENGTHS[loss],) if data.doubt else _STRENGTHS[loss])
    steps, start = (gauge or Gauge()).part(len(tried) + 1), None
    if len(tried) > 1 and len(rows) * _scores_together(data) > _MANY_SCORES:
        tolerance = max(tolerance, _ROUGH)
        strength, _, one = _searched(data, rows, loss, tried, every[:1], 2 * tolerance, steps)
        tried, start = (strength,), np.repeat(one, len(every), axis=0)
    return _searched(data, rows, loss, tried, every, tolerance, steps, start)[:2]


def _searched(
    data: TrainingRows,
    rows: Floats,
    loss: Loss,
    strengths: Sequence[float],
    folds: npt.NDArray[np.int64],
    tolerance: float,
    steps: Gauge,
    start: Floats | None = None,
) -> tuple[float, Floats, Floats]:
    """The best strength on some folds, the scores of their rows (zero for other rows), and the weights."""
    trained = np.stack([data.folds != fold for fold in folds])
    problems = LinearProblems(rows, data.targets, data.num_outputs, trained, loss)
    is_held = np.isin(data.folds, folds)
    best: tuple[tuple[float, ...], float, Floats, Floats] | None = None
    weights, worse = start, 0
    for strength in strengths:
        weights = solve(problems, strength, start=weights, tolerance=tolerance, tell=steps.within)
        scores = np.zeros((len(rows), data.num_outputs))
        for place, fold in enumerate(folds):
            held = data.folds == fold
            scores[held] = rows[held] @ weights[place, :-1] + weights[place, -1]
        value = _shortfall(data, scores[is_held], data.targets[is_held], loss)
        if best is None or value < best[0]:
            best, worse = (value, strength, scores, weights), 0
        else:
            worse += 1
        steps.finish()
        if worse == 2:
            break
    assert best is not None
    return best[1], best[2], best[3]


def _shortfall(
    data: TrainingRows, scores: Floats, labels: npt.NDArray[np.int64], loss: Loss
) -> tuple[float, ...]:
    own = log_loss(softmax(scores), labels) if loss == "softmax" else -accuracy(scores, labels)
    if loss == "softmax" and measure_of(data.task) == "log-loss":
        return (own,)  # these scores are not calibrated any further
    return shortfall(data.task, scores, labels, own)


def fit_centroid(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a calibrated head that predicts the nearest class mean."""
    del gauge  # it takes no time
    held = held_sample(data)
    if held is None:
        standard, rows = standardised(data, columns)
        scores = np.empty((len(rows), data.num_outputs))
        for fold in range(data.folds.max() + 1):
            left_out = data.folds == fold
            centres = _class_means(rows[~left_out], data.targets[~left_out], data.num_outputs)
            scores[left_out] = -0.5 * squared_distances(rows[left_out], centres)
        centres = _class_means(rows, data.targets, data.num_outputs)
    else:
        standard, read = rows_on_disk(data, columns)
        centres, scores = _many_means(data, held, read)
    return finished(
        data,
        "centroid",
        columns,
        standard=standard,
        arrays={"centroids": centres},
        hyperparameters={},
        scores=scores,
        sample=None if held is None else held.rows,
    )


def _class_means(rows: Floats, labels: npt.NDArray[np.int64], num_classes: int) -> Floats:
    """Class means `(K, D)`."""
    means = np.full((num_classes, rows.shape[1]), _FAR, dtype=np.float32)
    for label in np.unique(labels):
        means[label] = rows[labels == label].mean(axis=0)
    return means


def _many_means(
    data: TrainingRows, held: HeldSample, read: Callable[[npt.NDArray[np.int64]], Floats]
) -> tuple[Floats, Floats]:
    """Class means `(K, D)` of all rows, and scores of the held-out ones by the means of the others.

    Args:
        data: the training images.
        held: which of them are held out.
        read: returns the given standardised rows `(n, D)`; each row is read once, the held-out ones twice.
    """
    rest = np.setdiff1d(np.arange(len(data.keys)), held.others)
    others, linked = (_class_sums(data, by_key(data, own), read) for own in (held.others, rest))
    centres, width = _means_of(*others), others[0].shape[1]
    scores = [-0.5 * squared_distances(read(own), centres) for own in blocks_of(held.rows, width)]
    return _means_of(others[0] + linked[0], others[1] + linked[1]), np.concatenate(scores).astype(np.float64)


def _class_sums(
    data: TrainingRows, chosen: npt.NDArray[np.int64], read: Callable[[npt.NDArray[np.int64]], Floats]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Sums of the chosen rows by class `(K, D)`, and how many there are of each class `(K,)`."""
    labels = data.targets[chosen]
    sums: Floats = np.zeros((1, 1))
    start = 0
    for own in blocks_of(chosen, len(read(chosen[:1])[0])):
        sums = sums + by_class(read(own).T, labels[start : start + len(own)], data.num_outputs).T
        start += len(own)
    return sums, np.bincount(labels, minlength=data.num_outputs)


def _means_of(sums: Floats, counts: npt.NDArray[np.int64]) -> Floats:
    means: Floats = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    means[counts == 0] = _FAR
    return means
