"""The expected gain from more images: a score on subsets of the features, extended by a power law."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from regraft.evaluation.intervals.groups import Ints, number_of_groups
from regraft.evaluation.resampling import bootstrap_counts, percentile_interval
from regraft.heads.head import Head, squared_distances
from regraft.heads.kernel_machines import masked_scores
from regraft.heads.ridge_regression import RowRidge
from regraft.heads.rows import TrainingRows, share_goodness, share_of, standardised
from regraft.heads.solving.row_space import row_space
from regraft.heads.solving.solver import LinearProblems, solve
from regraft.records import Estimate, Record
from regraft.tasks.task import Measure

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
    """The score with a given number of training images, on other images."""

    images: int
    accuracy: Estimate
    """The accuracy, or the measure that takes its place."""


class LearningCurve(Record):
    """The measured points, and the gain that is expected from twice as many images."""

    points: tuple[CurvePoint, ...]
    doubling_gain: Estimate | None
    """Expected gain of the score, as a share; None if there are too few points for a power law."""
    measure: str = Field("accuracy", exclude_if=lambda measure: measure == "accuracy")
    """The name of the score: that by which models are compared, or the accuracy in place of the log-loss."""

    @property
    def title(self) -> str:
        """The score in words, where it is not the accuracy; otherwise empty.

        >>> LearningCurve(points=(), doubling_gain=None, measure="balanced_accuracy").title
        'balanced accuracy'
        """
        return "" if self.measure == "accuracy" else Measure(self.measure, None).title


def learning_curve(data: TrainingRows, head: Head) -> LearningCurve:
    """How good a solved head is as a function of the number of training images.

    Each fold is predicted by heads fitted on an eighth, a quarter, half and all images of the other folds
    (stratified by class), with the hyperparameters of the head that was fitted on everything.

    Args:
        data: the training images.
        head: `ridge`, `logistic` or `rbf-svm`; its kind, columns and hyperparameters are used.
    """
    sample = data.sample(_MAX_IMAGES)
    shares = [share for share in _SHARES if share * len(sample.keys) >= _LEAST_IMAGES]
    scores = _scores(sample, head, shares)
    goodness = np.stack([share_goodness(sample, one) for one in scores])
    measures = [share_of(sample, one) for one in scores]
    folds = int(sample.folds.max()) + 1
    sizes = [max(1, round(share * len(sample.keys) * (1 - 1 / folds))) for share in shares]
    points = tuple(
        CurvePoint(images=size, accuracy=measure.estimate)
        for size, measure in zip(sizes, measures, strict=True)
        if measure.estimate is not None
    )
    gain = (
        doubling_gain(sizes, goodness, groups=sample.group_numbers, seed=sample.seed)
        if len(sizes) >= 3
        else None
    )
    return LearningCurve(points=points, doubling_gain=gain, measure=measures[0].name)


def doubling_gain(
    sizes: Sequence[int], goodness: Floats, *, groups: Ints | None = None, seed: int = 0
) -> Estimate:
    """The gain of a score from twice the largest size, by `error(n) = a + b n^-c` (Cortes et al. 1993).

    The interval comes from fits to bootstrap resamples of the images, or of whole groups.

    Args:
        sizes: at least three numbers of training images, in rising order.
        goodness: `(sizes, N)`, whose mean over images is the score; for accuracy, which are right.
        groups: the number of each image's group; None if every image is a group of its own.
        seed: random seed of the bootstrap.
    """
    count = goodness.shape[1]
    if groups is None:
        draws = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
        errors = 1 - goodness[:, draws].mean(axis=2)
    else:
        drawn = np.concatenate([*bootstrap_counts(count, draws=_RESAMPLES, seed=seed, groups=groups)])
        errors = 1 - goodness @ drawn.T / drawn.sum(axis=1)
    return gain_from_errors(sizes, 1 - goodness.mean(axis=1), errors, number_of_groups(groups))


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
    gain = float(_gains(sizes, errors[:, None])[0])
    return percentile_interval(gain, _gains(sizes, drawn), groups)


def _gains(sizes: Sequence[int], errors: Floats) -> Floats:
    """Error at the largest size minus error at twice that size, by the least-squares power law of each draw.

    Args:
        sizes: the sizes, `(sizes,)`.
        errors: the error with each of them in each draw, `(sizes, B)`.
    """
    n = np.asarray(sizes, dtype=float)
    floors = _FLOORS[:, None] * errors.min(axis=0)
    above = errors - floors[:, None]
    best, gains = np.full(errors.shape[1], np.inf), np.zeros(errors.shape[1])
    for exponent in _EXPONENTS:
        basis = (n / n[-1]) ** -exponent
        scales = np.maximum(np.tensordot(above, basis, (1, 0)) / (basis @ basis), 0.0)
        losses = np.square(scales[:, None] * basis[:, None] - above).sum(axis=1)
        for scale, loss in zip(scales, losses, strict=True):
            is_better = loss < best - 1e-12
            best = np.where(is_better, loss, best)
            gains = np.where(is_better, scale * (1 - 2.0**-exponent), gains)
    return gains


def _scores(data: TrainingRows, head: Head, shares: Sequence[float]) -> list[Floats]:
    """For each share, scores `(N, K)` by heads that were fitted on that share of the other folds."""
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
    return [score(np.stack([_some(data, fold, share) for fold in range(folds)])) for share in shares]


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
