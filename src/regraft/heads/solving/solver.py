"""A solver for many small convex problems at once: the linear classifiers of all folds.

L-BFGS (Nocedal & Wright 2006, algorithm 7.5) with backtracking runs side by side for problems that share
their data and differ in the rows that they use. One matrix product serves all of them, so
cross-validation costs little more than one fit. Each problem has its own step size and stops on its own.
scikit-learn solves the same problems one after the other; `benchmarks/heads.py` compares optima and time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from regraft.heads.solving.metric import Metric
from regraft.heads.solving.row_blocks import RowBlocks

Floats = npt.NDArray[Any]
Loss = Literal["softmax", "squared-hinge", "sigmoid"]
_MEMORY = 10
_MEMORY_BYTES = 1_000_000_000
_ARRAYS = (
    2 * _MEMORY + 5 + 2 * _MEMORY
)  # history, what an iteration needs, and the history of active problems
_CHUNK = 16_000_000  # scores that are computed at once: 64 MB, so that more images need no more memory
_LEAST_ROWS = 32  # matrix products of fewer rows are slow
_ARMIJO = 1e-4
_MAX_HALVINGS = 12
_PROGRESS = 1e-6  # relative gain below which an iteration made no progress; float32 resolves little less


@dataclass(frozen=True)
class LinearProblems:
    """P linear classification problems on the same features.

    Problem p minimises, over weights W `(D, K)` and intercepts b `(K,)`,

        mean of loss(x W + b, label) over its rows  +  |W|^2 / (2 C n_p)

    which is scikit-learn's objective divided by C n_p. Losses: `softmax` is the cross-entropy in nats;
    `squared-hinge` is max(0, 1 - y s)^2 summed over one-against-rest scores s with y = +-1; `sigmoid` is the
    binary cross-entropy in nats of a single score, K = 1, so that several labels an image are problems of
    their own, each with its own rows, steps and end, and none can change another.
    """

    features: Floats | RowBlocks
    """Features `(N, D)`, float32 or float64; the result has the same precision."""
    labels: npt.NDArray[np.int64]
    """Class numbers `(N,)` in 0 .. num_classes-1; for `sigmoid`, `(N, P)`: 1 where the label of a problem is
    present, 0 where it is not."""
    num_classes: int
    rows: npt.NDArray[np.bool_]
    """The rows that each problem uses, `(P, N)`."""
    loss: Loss = "softmax"

    @property
    def weights_bytes(self) -> int:
        """Bytes of the weights of one problem."""
        return int((self.features.shape[1] + 1) * self.num_classes * self.features.itemsize)

    def some(self, which: slice) -> LinearProblems:
        """Some of the problems."""
        labels = self.labels if self.labels.ndim == 1 else self.labels[:, which]
        return replace(self, rows=self.rows[which], labels=labels)


def solve(
    problems: LinearProblems,
    strength: float | Floats,
    *,
    start: Floats | None = None,
    tolerance: float = 3e-4,
    max_iterations: int = 500,
    metric: Metric | None = None,
    tell: Callable[[float], None] | None = None,
) -> Floats:
    """Find the optima `(P, D + 1, K)`, with the intercepts last.

    Working memory is at most a gigabyte, or 45 times the weights of one problem where that is more: problems
    that don't fit together are solved one after the other, which gives the same optima.

    Args:
        problems: the problems to solve.
        strength: C, the inverse of the regularisation strength: one for all problems, or `(P,)`.
        start: weights to start from, for example the optima for another strength; None starts from zero.
        tolerance: stop when the gradient's norm is this share of its norm at zero weights; a rotation of the
            columns makes no difference.
        max_iterations: largest number of L-BFGS iterations.
        metric: about the inverse of the curvature in the space of columns and intercept, `(D + 1, D + 1)`, by
            which directions begin (see `metric.metric_of`); None takes all columns as equal.
        tell: is called after every iteration with the share of the work that is done, in 0 to 1.
    """
    count = len(problems.rows)
    strengths = np.broadcast_to(np.asarray(strength, dtype=problems.features.dtype), count)
    together = max(1, _MEMORY_BYTES // (_ARRAYS * problems.weights_bytes))
    if together >= count:
        return _solve_together(problems, strengths, start, tolerance, max_iterations, metric, tell or _ignore)
    parts = []
    for first in range(0, count, together):
        some = slice(first, first + together)
        begin = None if start is None else start[some]
        one = problems.some(some)
        told = partial(_tell_part, tell or _ignore, first, len(one.rows), count)
        parts.append(_solve_together(one, strengths[some], begin, tolerance, max_iterations, metric, told))
    return np.concatenate(parts)


def working_bytes(count: int, weights_bytes: int) -> int:
    """Bytes that `solve` takes besides the features, for a number of problems with weights of some bytes."""
    together = max(1, _MEMORY_BYTES // (_ARRAYS * max(weights_bytes, 1)))
    return _ARRAYS * weights_bytes * min(count, together)


def _ignore(share: float) -> None:
    del share


def _tell_part(tell: Callable[[float], None], first: int, size: int, count: int, share: float) -> None:
    tell((first + size * share) / count)


def _solve_together(
    problems: LinearProblems,
    strength: Floats,
    start: Floats | None,
    tolerance: float,
    max_iterations: int,
    metric: Metric | None,
    tell: Callable[[float], None],
) -> Floats:
    count, (_, width) = len(problems.rows), problems.features.shape
    shape = (count, width + 1, problems.num_classes)
    weights = np.zeros(shape, dtype=problems.features.dtype) if start is None else start.copy()
    value, gradient = _evaluate(problems, weights, strength, np.arange(count))
    at_zero = (
        gradient
        if start is None
        else _evaluate(problems, np.zeros_like(weights), strength, np.arange(count))[1]
    )
    goal = tolerance * _norm(at_zero)
    del at_zero
    first = np.maximum(_norm(gradient), goal)
    history: list[tuple[Floats, Floats, Floats]] = []
    active = np.flatnonzero(_norm(gradient) > goal)
    for _ in range(max_iterations):
        if not len(active):
            break
        recent = (
            history if len(active) == count else [(s[active], y[active], r[active]) for s, y, r in history]
        )
        direction = _direction(gradient[active], recent, metric)
        moved, new_value, new_gradient = _line_search(
            problems, strength, weights, value, gradient, direction, active, first=not history
        )
        step = np.zeros_like(weights)
        change = np.zeros_like(gradient)
        step[active], change[active] = moved - weights[active], new_gradient - gradient[active]
        stuck = value[active] - new_value <= _PROGRESS * np.abs(new_value)
        weights[active], value[active], gradient[active] = moved, new_value, new_gradient
        was_steepest = np.ones(count, dtype=bool)
        for _, _, rho in history:
            was_steepest &= rho == 0
        for _, _, rho in history:  # no progress in this direction: forget it and try the gradient itself
            rho[active[stuck]] = 0
        history = [*history[-_MEMORY + 1 :], (step, change, _curvature(step, change))]
        small = _norm(gradient[active]) <= goal[active]
        active = active[~(small | (stuck & was_steepest[active]))]
        tell(_share_done(_norm(gradient), first, goal, active))
    return weights


def _share_done(norms: Floats, first: Floats, goal: Floats, active: npt.NDArray[np.int64]) -> float:
    """How far the gradients' norms have come from the first to the goal, on a logarithmic scale."""
    done = np.ones(len(norms))
    left = np.log(np.maximum(norms[active], 1e-30) / goal[active])
    done[active] = 1 - left / np.maximum(np.log(first[active] / goal[active]), 1e-6)
    return float(np.clip(done, 0, 1).mean())


def _norm(gradient: Floats) -> Floats:
    result: Floats = np.sqrt(_inner(gradient, gradient))
    return result


def _inner(a: Floats, b: Floats) -> Floats:
    result: Floats = np.einsum("pdk,pdk->p", a, b)
    return result


def _curvature(step: Floats, change: Floats) -> Floats:
    """1 / (s . y), or 0 for a pair without information, which the recursion then leaves out."""
    product = _inner(step, change)
    usable = product > 1e-10 * np.maximum(_inner(change, change), 1e-30)
    return np.where(usable, 1 / np.where(usable, product, 1), 0).astype(step.dtype)


def _direction(
    gradient: Floats, history: list[tuple[Floats, Floats, Floats]], metric: Metric | None = None
) -> Floats:
    """The search directions by the two-loop recursion, for all problems at once."""
    q = gradient.copy()
    alphas = []
    for step, change, rho in reversed(history):
        alpha = rho * _inner(step, q)
        q -= alpha[:, None, None] * change
        alphas.append(alpha)
    if history:
        step, change, rho = history[-1]
        size = _inner(change, change if metric is None else metric @ change)
        usable = (rho > 0) & (size > 0)
        scale = np.where(usable, 1 / np.where(usable, rho * size, 1), 1).astype(q.dtype)
        q *= scale[:, None, None]
    if metric is not None:
        q = metric @ q
    for (step, change, rho), alpha in zip(history, reversed(alphas), strict=True):
        beta = rho * _inner(change, q)
        q += (alpha - beta)[:, None, None] * step
    return -q


def _line_search(
    problems: LinearProblems,
    strength: Floats,
    weights: Floats,
    value: Floats,
    gradient: Floats,
    direction: Floats,
    active: npt.NDArray[np.int64],
    *,
    first: bool,
) -> tuple[Floats, Floats, Floats]:
    """Backtrack until each active problem has gained enough (Armijo); those that can't do not move."""
    slope = _inner(gradient[active], direction)
    uphill = slope >= 0
    direction[uphill], slope[uphill] = (
        -gradient[active][uphill],
        -_inner(gradient[active], gradient[active])[uphill],
    )
    size = np.ones(len(active), dtype=weights.dtype)
    if first:
        size /= np.maximum(_norm(direction), 1e-30)  # a step of unit length
    best = weights[active].copy()
    new_value, new_gradient = value[active].copy(), gradient[active].copy()
    pending = np.arange(len(active))
    for _ in range(_MAX_HALVINGS):
        trial = weights[active[pending]] + size[pending, None, None] * direction[pending]
        trial_value, trial_gradient = _evaluate(problems, trial, strength, active[pending])
        wanted = value[active[pending]] + _ARMIJO * size[pending] * slope[pending]
        good = trial_value <= wanted + 1e-7 * np.abs(value[active[pending]]) * (weights.dtype == np.float32)
        accepted = pending[good]
        best[accepted], new_value[accepted], new_gradient[accepted] = (
            trial[good],
            trial_value[good],
            trial_gradient[good],
        )
        pending = pending[~good]
        if not len(pending):
            break
        size[pending] *= 0.5
    return best, new_value, new_gradient


def _evaluate(
    problems: LinearProblems, weights: Floats, strength: Floats, which: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Objective `(A,)` and gradient `(A, D + 1, K)` of the A problems in `which`, in chunks of rows."""
    count, width, classes = len(which), weights.shape[1] - 1, weights.shape[2]
    flat = weights[:, :-1].transpose(1, 0, 2).reshape(width, count * classes)
    rows = problems.rows[which].T.astype(weights.dtype)
    sizes = np.maximum(rows.sum(axis=0), 1)
    share = rows / sizes
    decay = 1 / (strength[which] * sizes)
    value = decay / 2 * _inner(weights[:, :-1], weights[:, :-1])
    gradient = decay[:, None, None].astype(weights.dtype) * weights
    gradient[:, -1] = 0
    held = width if isinstance(problems.features, RowBlocks) else 0  # numbers that are made of each row
    chunk = max(_LEAST_ROWS, _CHUNK // max(count * classes, held))
    for start in range(0, len(rows), chunk):
        part = slice(start, start + chunk)
        features = problems.features[part]
        scores = (features @ flat).reshape(-1, count, classes)
        scores += weights[:, -1]
        labels = problems.labels[part] if problems.labels.ndim == 1 else problems.labels[part][:, which]
        losses, slopes = LOSSES[problems.loss](scores, labels)
        slopes *= share[part, :, None]
        value += np.einsum("np,np->p", losses, share[part])
        products = features.T @ slopes.reshape(-1, count * classes)
        gradient[:, :-1] += products.reshape(width, count, classes).transpose(1, 0, 2)
        gradient[:, -1] += slopes.sum(axis=0)
    return value, gradient


def _softmax_loss(scores: Floats, labels: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Cross-entropy `(N, P)` and its derivative with respect to the scores; overwrites `scores`."""
    rows = np.arange(len(labels))
    scores -= scores.max(axis=2, keepdims=True)
    own = scores[rows, :, labels]
    np.exp(scores, out=scores)
    total = scores.sum(axis=2)
    losses = np.log(total) - own
    scores /= total[:, :, None]
    scores[rows, :, labels] -= 1
    return losses, scores


def _squared_hinge_loss(scores: Floats, labels: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Squared hinge loss `(N, P)`, summed over the classes, and its derivative; overwrites `scores`."""
    rows = np.arange(len(labels))
    scores[rows, :, labels] *= -1
    scores += 1
    np.maximum(scores, 0, out=scores)
    losses = np.einsum("npk,npk->np", scores, scores)
    scores *= 2
    scores[rows, :, labels] *= -1
    return losses, scores


def _sigmoid_loss(scores: Floats, labels: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Binary cross-entropy `(N, P)` of scores `(N, P, 1)`, and its derivative; overwrites `scores`."""
    flat = scores[:, :, 0]
    weakening = np.exp(-np.abs(flat))  # at most 1, so that nothing overflows
    losses = np.maximum(flat, 0) - flat * labels + np.log1p(weakening)
    flat[:] = np.where(flat >= 0, 1, weakening) / (1 + weakening)
    flat -= labels
    return losses, scores


LOSSES = {"softmax": _softmax_loss, "squared-hinge": _squared_hinge_loss, "sigmoid": _sigmoid_loss}
