"""The expected gain from more images: accuracy on subsets of the features, extended by a power law."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.evaluation.intervals.groups import Ints, number_of_groups
from regraft.evaluation.intervals.shares import share_estimate
from regraft.evaluation.resampling import bootstrap_counts, percentile_interval
from regraft.heads.head import Head, squared_distances
from regraft.heads.kernel_machines import masked_scores
from regraft.heads.ridge_regression import RowRidge
from regraft.heads.rows import TrainingRows, standardised
from regraft.heads.solving.row_space import row_space
from regraft.heads.solving.solver import LinearProblems, solve
from regraft.records import Estimate, Record

Floats = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
_SHARES = (0.125, 0.25, 0.5, 1.0)
_LEAST_IMAGES = 16
_MAX_IMAGES = 3_000
_RESAMPLES = 200
_EVALUATIONS = 40  # approximate number per logistic regression
_EXPONENTS = np.linspace(0.1, 1.0, 19)
_FLOORS = np.linspace(0.0, 0.95, 20)  # shares of the lowest measured error


class CurvePoint(Record):
    """Accuracy with a given number of training images, on other images."""

    images: int
    accuracy: Estimate


class LearningCurve(Record):
    """The measured points, and the gain that is expected from twice as many images."""

    points: tuple[CurvePoint, ...]
    doubling_gain: Estimate | None
    """Expected gain of accuracy, as a share; None if there are too few points for a power law."""


def learning_curve(data: TrainingRows, head: Head) -> LearningCurve:
    """Accuracy of a solved head as a function of the number of training images.

    Each fold is predicted by heads fitted on an eighth, a quarter, half and all images of the other folds
    (stratified by class), with the hyperparameters of the head that was fitted on everything.

    Args:
        data: the training images.
        head: `ridge`, `logistic` or `rbf-svm`; its kind, columns and hyperparameters are used.
    """
    sample = data.sample(_MAX_IMAGES)
    shares = [share for share in _SHARES if share * len(sample.keys) >= _LEAST_IMAGES]
    rights = _rights(sample, head, shares)
    folds = int(sample.folds.max()) + 1
    sizes = [max(1, round(share * len(sample.keys) * (1 - 1 / folds))) for share in shares]
    points = tuple(
        CurvePoint(images=size, accuracy=share_estimate(row, sample.group_numbers))
        for size, row in zip(sizes, rights, strict=True)
    )
    gain = (
        doubling_gain(sizes, rights, groups=sample.group_numbers, seed=sample.seed)
        if len(sizes) >= 3
        else None
    )
    return LearningCurve(points=points, doubling_gain=gain)


def doubling_gain(
    sizes: Sequence[int], rights: Bools, *, groups: Ints | None = None, seed: int = 0
) -> Estimate:
    """The gain of accuracy from twice the largest size, by `error(n) = a + b n^-c` (Cortes et al. 1993).

    The interval comes from fits to bootstrap resamples of the images, or of whole groups.

    Args:
        sizes: at least three numbers of training images, in rising order.
        rights: `(sizes, N)`, which images were predicted correctly with each.
        groups: the number of each image's group; None if every image is a group of its own.
        seed: random seed of the bootstrap.
    """
    count = rights.shape[1]
    if groups is None:
        draws = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
        errors = 1 - rights[:, draws].mean(axis=2)
    else:
        drawn = np.concatenate([*bootstrap_counts(count, draws=_RESAMPLES, seed=seed, groups=groups)])
        errors = 1 - rights @ drawn.T / drawn.sum(axis=1)
    return gain_from_errors(sizes, 1 - rights.mean(axis=1), errors, number_of_groups(groups))


def gain_from_errors(
    sizes: Sequence[int], errors: Floats, drawn: Floats, groups: int | None = None
) -> Estimate:
    """The fall of an error of any kind with twice the largest size, by the same law.

    Args:
        sizes: at least three numbers of training images, in rising order.
        errors: the error with each, `(sizes,)`.
        drawn: the same in each draw of a bootstrap, `(sizes, B)`.
        groups: the number of groups that were drawn; None if images were.
    """
    gains = [_gain(sizes, column) for column in drawn.T]
    return percentile_interval(_gain(sizes, errors), np.array(gains), groups)


def _gain(sizes: Sequence[int], errors: Floats) -> float:
    """Error at the largest size minus error at twice that size, by the least-squares power law."""
    n = np.asarray(sizes, dtype=float)
    best, gain = np.inf, 0.0
    for exponent in _EXPONENTS:
        basis = (n / n[-1]) ** -exponent
        for floor in _FLOORS * errors.min():
            scale = max(float(basis @ (errors - floor) / (basis @ basis)), 0.0)
            loss = float(np.square(floor + scale * basis - errors).sum())
            if loss < best - 1e-12:
                best, gain = loss, scale * (1 - 2.0**-exponent)
    return gain


def _rights(data: TrainingRows, head: Head, shares: Sequence[float]) -> Bools:
    """`(shares, N)`: which images are predicted correctly by heads fitted on a share of the other folds."""
    rows = standardised(data, head.record.columns)[1]
    settings = head.record.hyperparameters
    folds = int(data.folds.max()) + 1
    score: Callable[[Bools], Floats]
    if head.record.kind == "rbf-svm":
        kernel = np.exp(-settings["gamma"] * squared_distances(rows, rows))
        score = partial(masked_scores, data, kernel, settings["C"])
    elif head.record.kind == "ridge":
        score = partial(_ridge_scores, data, rows, settings["C"])
    else:
        rows = row_space(rows, _EVALUATIONS * len(shares) * folds * data.num_outputs).rows
        score = partial(_linear_scores, data, rows, settings.get("C", 10.0))
    rights = np.empty((len(shares), len(rows)), dtype=bool)
    for right, share in zip(rights, shares, strict=True):
        trained = np.stack([_some(data, fold, share) for fold in range(folds)])
        right[:] = score(trained).argmax(axis=1) == data.targets
    return rights


def _linear_scores(data: TrainingRows, rows: Floats, strength: float, trained: Bools) -> Floats:
    """Scores `(N, K)`: each fold's by a logistic regression fitted on the images in its row of `trained`."""
    problems = LinearProblems(rows, data.targets, data.num_outputs, trained, "softmax")
    scores = np.empty((len(rows), data.num_outputs))
    for fold, one in enumerate(solve(problems, strength, tolerance=1e-2)):
        held = data.folds == fold
        scores[held] = rows[held] @ one[:-1] + one[-1]
    return scores


def _ridge_scores(data: TrainingRows, rows: Floats, strength: float, trained: Bools) -> Floats:
    """Scores `(N, K)`: each fold's by a ridge regression fitted on the images in its row of `trained`."""
    scores = np.empty((len(rows), data.num_outputs))
    for fold, kept in enumerate(trained):
        held = data.folds == fold
        one = RowRidge(rows[kept], data.targets[kept], data.num_outputs, data.folds[kept]).weights(strength)
        scores[held] = rows[held] @ one[:-1] + one[-1]
    return scores


def _some(data: TrainingRows, fold: int, share: float) -> Bools:
    """A random share of each class outside a fold, at least one image of each class."""
    chosen = np.zeros(len(data.keys), dtype=bool)
    draws = np.random.default_rng([data.seed, fold])
    for label in np.unique(data.targets):
        others = draws.permutation(np.flatnonzero((data.targets == label) & (data.folds != fold)))
        chosen[others[: max(1, round(share * len(others)))]] = True
    return chosen
