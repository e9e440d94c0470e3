"""Significance of the difference between two sets of predictions of the same images; pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from regraft.evaluation.intervals.groups import Ints, number_of_groups
from regraft.evaluation.resampling import bootstrap_counts, percentile_interval
from regraft.records import Estimate, Record

Floats = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
ALPHA = 0.05
_RESAMPLES = 10_000
_FLIPS = 10_000
_EXACT_MAX = 1_000  # disagreements up to which the exact binomial sum is used; beyond, it gains nothing


class PairedComparison(Record):
    """Comparison of two models on the same images."""

    images: int
    difference: Estimate
    """Accuracy, or mean goodness, of the first minus that of the second, with a 95 % interval by paired
    bootstrap."""
    only_first: int
    """Number of images that only the first predicted correctly, or, where predictions are not just right or
    wrong, that it predicted better."""
    only_second: int
    """The same for the second."""
    p_value: float
    """P-value of the two-sided exact McNemar test (1947; the mid-p variant of Fagerland et al. 2013), or of
    the sign-flip test."""
    groups: int | None = Field(None, exclude_if=lambda groups: groups is None)
    """Number of groups that were drawn and flipped as a whole; None if every image is a group of its own."""

    @property
    def differs(self) -> bool:
        """Whether the difference is significant at the 5 % level."""
        return self.p_value < ALPHA


def compare(first: Bools, second: Bools, *, seed: int = 0) -> PairedComparison:
    """Compare two models on the images that both predicted.

    Args:
        first: `(N,)`, whether the first model predicted each image correctly.
        second: the same for the second model.
        seed: random seed of the bootstrap.

    >>> one = np.array([True] * 8 + [False] * 2)
    >>> other = np.array([True] * 4 + [False] * 6)
    >>> result = compare(one, other)
    >>> round(result.difference.value, 2), result.only_first, result.only_second, result.p_value
    (0.4, 4, 0, 0.0625)
    """
    count = len(first)
    won, lost = int((first & ~second).sum()), int((~first & second).sum())
    shares = np.array([won, lost, count - won - lost]) / count
    draws = np.random.default_rng(seed).multinomial(count, shares, size=_RESAMPLES)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / count, [0.025, 0.975])
    value = (won - lost) / count
    return PairedComparison(
        images=count,
        difference=Estimate(value=value, low=min(value, float(low)), high=max(value, float(high))),
        only_first=won,
        only_second=lost,
        p_value=mcnemar(won, lost),
    )


def compare_goodness(
    first: Floats, second: Floats, *, groups: Ints | None = None, seed: int = 0
) -> PairedComparison:
    """Compare two models by how good each is on each image; as `compare` where that is right or wrong.

    The p-value is that of the two-sided sign-flip test (Fisher 1935, section 21), of which McNemar's test is
    the case of differences of 1 and -1: without a difference between the models, each image's difference has
    either sign with equal probability. Images of a group are drawn together, and flipped together: of a
    patient with ten images, one model is often better on all ten.

    Args:
        first: `(N,)`, the goodness of the first model on each image, larger is better; 1 and 0 for right and
            wrong.
        second: the same for the second model.
        groups: the number of each image's group; None if every image is a group of its own.
        seed: random seed of the bootstrap and of the flips.

    >>> result = compare_goodness(np.array([0.9, 0.8, 0.7, 0.9]), np.array([0.5, 0.6, 0.7, 0.5]))
    >>> round(result.difference.value, 2), result.only_first, result.only_second, round(result.p_value, 1)
    (0.25, 3, 0, 0.2)
    """
    if groups is None and np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all():
        return compare(first > 0, second > 0, seed=seed)
    differences, count = first - second, len(first)
    sums = differences if groups is None else np.bincount(groups, weights=differences)
    sizes = np.ones(count) if groups is None else np.bincount(groups).astype(np.float64)
    draws = [
        counts @ sums / (counts @ sizes) for counts in bootstrap_counts(len(sums), draws=_FLIPS, seed=seed)
    ]
    return PairedComparison(
        images=count,
        difference=percentile_interval(
            float(differences.mean()), np.concatenate(draws), number_of_groups(groups)
        ),
        only_first=int((differences > 0).sum()),
        only_second=int((differences < 0).sum()),
        p_value=sign_flip(sums, seed=seed),
        groups=number_of_groups(groups),
    )


def sign_flip(differences: Floats, *, seed: int = 0) -> float:
    """Two-sided p-value for the hypothesis that each difference has either sign with equal probability.

    10,000 random flips are drawn; with more than 1,000 differences the sum is close enough to normal.
    """
    apart = differences[differences != 0]
    if not len(apart):
        return 1.0
    total = abs(float(apart.sum()))
    if len(apart) > _EXACT_MAX:
        return min(1.0, 2 * _normal_tail(total / float(np.square(apart).sum()) ** 0.5))
    flips = np.random.default_rng(seed).integers(0, 2, (_FLIPS - 1, len(apart)), dtype=np.int8)
    sums = np.abs(2 * (flips @ apart) - apart.sum())
    return float((1 + (sums >= total * (1 - 1e-9)).sum()) / _FLIPS)


def mcnemar(won: int, lost: int) -> float:
    """Two-sided mid-p value for the hypothesis that both are right equally often where they disagree.

    >>> mcnemar(4, 0), mcnemar(3, 3)
    (0.0625, 1.0)
    """
    total, small = won + lost, min(won, lost)
    if total == 0 or won == lost:
        return 1.0
    if total > _EXACT_MAX:
        return float(2 * _normal_tail((abs(won - lost)) / total**0.5))
    below = sum(comb(total, k) for k in range(small))
    return float(min(1.0, (2 * below + comb(total, small)) / 2**total))


def _normal_tail(z: float) -> float:
    from math import erfc

    return 0.5 * erfc(z / 2**0.5)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of comparisons (Holm 1979).

    >>> [round(value, 3) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, place in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[int(place)]))
        adjusted[int(place)] = running
    return adjusted
