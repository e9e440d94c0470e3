"""How well scores rank the images that have a label before those that don't; pure functions.

The interval of one label's score has a closed form that stays wide at 1, as Wilson's does for an accuracy:
the percentile bootstrap of a label that is ranked perfectly would be [1, 1], however few its images are.
Where images belong together, it is that of fewer images, by the design effect (Rao & Scott 1992): the
variance over bootstrap draws of whole groups, divided by that of as many independent images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.evaluation.intervals.groups import Ints, Z
from regraft.evaluation.intervals.shares import wilson
from regraft.records import Estimate

Floats = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

_HALVINGS = 60


def auroc(scores: Floats, present: Bools, counts: Floats | None = None) -> npt.NDArray[np.float64]:
    """Probability that an image with the label has a higher score than one without, ties counted half.

    This is the area under the receiver operating characteristic (Hanley & McNeil 1982).

    Args:
        scores: `(N,)`, higher for images that more probably have the label; N may be 0.
        present: `(N,)`, whether each image has it.
        counts: `(B, N)`, how often each image counts in each of B draws; None for a single draw with all
            images.

    Returns:
        `(B,) float64`; NaN for draws in which all images have the label, or none.

    >>> auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    array([0.75])
    """
    with_label, without = _by_score(scores, present, counts)
    below = np.cumsum(without, axis=1) - without / 2
    pairs = with_label.sum(axis=1) * without.sum(axis=1)
    won = (with_label * below).sum(axis=1)
    areas: npt.NDArray[np.float64] = np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0)
    return areas


def average_precision(
    scores: Floats, present: Bools, counts: Floats | None = None
) -> npt.NDArray[np.float64]:
    """Mean precision at the scores of the images with the label: the sum of `(R_n - R_n-1) P_n`.

    Images of equal score are one step. Arguments as in `auroc`; NaN for draws without the label, and for
    those in which all images have it, whose precision says nothing.

    >>> average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])).round(3)
    array([0.833])
    """
    with_label, without = (part[:, ::-1] for part in _by_score(scores, present, counts))
    found, missed = np.cumsum(with_label, axis=1), np.cumsum(without, axis=1)
    precision = found / np.maximum(found + missed, 1)
    total = found[:, -1]
    is_defined = (total > 0) & (missed[:, -1] > 0)
    area = (with_label * precision).sum(axis=1)
    means: npt.NDArray[np.float64] = np.full(len(area), np.nan)
    np.divide(area, total, out=means, where=is_defined)
    return means


def _by_score(scores: Floats, present: Bools, counts: Floats | None) -> tuple[Floats, Floats]:
    """Counts `(B, S)` of the images with and without the label at each of the S scores, in rising order."""
    order = np.argsort(scores, kind="stable")
    counts = np.ones((1, len(scores))) if counts is None else counts
    in_order = counts[:, order]
    if not len(scores):
        return np.zeros((len(counts), 1)), np.zeros((len(counts), 1))
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    with_label = np.add.reduceat(in_order * present[order], starts, axis=1)
    everything = np.add.reduceat(in_order, starts, axis=1)
    return with_label, everything - with_label


@dataclass(frozen=True)
class GroupDraws:
    """What a label's interval needs to know about groups."""

    groups: Ints
    """`(N,)`, the number of each image's group."""
    values: Floats
    """`(B,)`, the score in each bootstrap draw of whole groups; NaN where it is not defined."""

    def effect(self, variance: float) -> float:
        """The design effect, from 1 to the mean size of an image's group, which it is where nothing varies.

        Args:
            variance: that of the score of as many independent images.
        """
        sizes = np.bincount(self.groups).astype(np.float64)
        most = float(np.square(sizes).sum() / sizes.sum())
        known = self.values[~np.isnan(self.values)]
        own = float(known.var()) if len(known) else 0.0
        return min(max(own / variance, 1.0), most) if variance > 0 and own > 0 else most


def auroc_estimate(scores: Floats, present: Bools, drawn: GroupDraws | None = None) -> Estimate | None:
    """The AUROC of one label with a 95 % interval; None if all images have the label, or none.

    The bounds are the areas whose standard error (Hanley & McNeil 1982, with Newcombe's mean sample size)
    just reaches the observed area.
    Source: Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic. Part 2", method 5.

    Args:
        scores: `(N,)`.
        present: `(N,)`, whether each image has the label.
        drawn: bootstrap draws of whole groups; None if every image is a group of its own.
    """
    positives: float = int(present.sum())
    negatives = len(present) - positives
    if not positives or not negatives:
        return None
    value = float(auroc(scores, present)[0])
    if drawn is not None:
        effect = drawn.effect(_variance(value, positives, negatives))
        positives, negatives = positives / effect, negatives / effect
    low = _bound(value, 0.0, positives, negatives)
    return Estimate(value=value, low=low, high=_bound(value, 1.0, positives, negatives))


def _variance(area: float, positives: float, negatives: float) -> float:
    """The squared standard error of an area, with Newcombe's mean sample size."""
    size = max((positives + negatives) / 2 - 1, 0.0)
    spread = 1 + size * (1 - area) / (2 - area) + size * area / (1 + area)
    return area * (1 - area) * spread / (positives * negatives)


def _bound(value: float, end: float, positives: float, negatives: float) -> float:
    """The area towards `end` that is 1.96 of its own standard errors from `value`, by bisection."""

    def is_within(area: float) -> bool:
        return (area - value) ** 2 <= Z**2 * _variance(area, positives, negatives)

    inside, outside = value, end
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_within(middle) else (inside, middle)
    return inside


def average_precision_estimate(
    scores: Floats, present: Bools, drawn: GroupDraws | None = None
) -> Estimate | None:
    """The average precision of one label with a 95 % interval; None if all images have the label, or none.

    The interval is that of a share among the images with the label.
    Source: Boyd, Eng & Page 2013, "Area under the precision-recall curve: point estimates and confidence
    intervals", section 3.2 (binomial interval); Wilson's interval replaces theirs, which can leave [0, 1].

    Args:
        scores: `(N,)`.
        present: `(N,)`, whether each image has the label.
        drawn: bootstrap draws of whole groups; None if every image is a group of its own.
    """
    positives: float = int(present.sum())
    if positives in (0, len(present)):
        return None
    value = float(average_precision(scores, present)[0])
    if drawn is not None:
        positives /= drawn.effect(value * (1 - value) / positives)
    around = wilson(value * positives, positives)
    assert around.low is not None
    assert around.high is not None
    return Estimate(value=value, low=min(value, around.low), high=max(value, around.high))
