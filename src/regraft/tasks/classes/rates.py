"""Sensitivity, specificity and predictive values of the positive one of two classes, with 95 % intervals.

They are shares of images, so their intervals are those of `evaluation.intervals.shares`: Wilson's, or its
like where images belong to groups.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.evaluation.intervals.shares import share_estimate
from regraft.records import Estimate, Rates

Floats = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def rates_at(
    present: Bools,
    called: Bools,
    *,
    threshold: float | None,
    groups: Ints | None = None,
    prevalence: float | None = None,
) -> Rates:
    """The four rates, and the predictive values at a stated prevalence.

    Args:
        present: `(N,)`, whether each image is positive.
        called: `(N,)`, whether each image is called positive.
        threshold: the probability from which on it is, for the record.
        groups: the number of each image's group; None if every image is a group of its own.
        prevalence: the share of positive images for which predictive values are stated.

    >>> rates = rates_at(np.array([1, 1, 0, 0]) > 0, np.array([1, 0, 0, 0]) > 0, threshold=None)
    >>> rates.sensitivity.value, rates.specificity.value, rates.ppv.value, round(rates.npv.value, 3)
    (0.5, 1.0, 1.0, 0.667)
    """

    def share(rights: Bools, among: Bools) -> Estimate | None:
        if not among.any():
            return None
        return share_estimate(rights[among], None if groups is None else groups[among])

    sensitivity, specificity = share(called, present), share(~called, ~present)
    return Rates(
        threshold=threshold,
        found=int((present & called).sum()),
        missed=int((present & ~called).sum()),
        false_alarms=int((~present & called).sum()),
        passed=int((~present & ~called).sum()),
        sensitivity=sensitivity,
        specificity=specificity,
        ppv=share(present, called),
        npv=share(~present, ~called),
        ppv_at_prevalence=predictive_value(sensitivity, specificity, prevalence),
        npv_at_prevalence=predictive_value(
            specificity, sensitivity, None if prevalence is None else 1 - prevalence
        ),
    )


def predictive_value(
    right: Estimate | None, other: Estimate | None, prevalence: float | None
) -> Estimate | None:
    """The share of an answer that is right, by Bayes' theorem, at a stated prevalence; None if not defined.

    The logit of the predictive value is the prior's logit plus the logarithm of the likelihood ratio
    `right / (1 - other)`. The interval of that logarithm comes from those of its two shares by the method of
    variance estimates recovery; where a share is 0 or 1, and so has no logarithm, both of its shares take
    their bound at once, which is wider.
    Source: Zou & Donner 2008, "Construction of confidence limits about effect measures: a general approach",
    equation 2.

    Args:
        right: of the images that the answer is right for, the share that gets it: the sensitivity.
        other: of the other images, the share that does not get it: the specificity.
        prevalence: the share of all images that the answer is right for.

    >>> share = Estimate(value=0.9, low=0.8, high=0.95)
    >>> found = predictive_value(share, share, 0.02)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.155, 0.083, 0.269)
    """
    if right is None or other is None or prevalence is None:
        return None
    if right.value == 0 and other.value == 1:  # the answer is never given
        return None
    bounds = [right.low, right.high, other.low, other.high]
    low, high, other_low, other_high = (0.0 if one is None else one for one in bounds)
    odds = prevalence / (1 - prevalence)
    value = _share(odds, right.value, 1 - other.value)
    if None in bounds:
        return Estimate(value=value)
    if right.value in (0, 1) or other.value in (0, 1):
        ends = _share(odds, low, 1 - other_low), _share(odds, high, 1 - other_high)
    else:
        below = _distance(right.value / low if low else np.inf, (1 - other_low) / (1 - other.value))
        falls = (1 - other.value) / (1 - other_high) if other_high < 1 else np.inf
        above = _distance(high / right.value, falls)
        ends = (
            _share(odds * np.exp(-below), right.value, 1 - other.value),
            1.0 if np.isinf(above) else _share(odds * np.exp(above), right.value, 1 - other.value),
        )
    return Estimate(value=value, low=min(value, ends[0]), high=max(value, ends[1]))


def _distance(first: float, second: float) -> float:
    """How far a bound is from the logarithm of a ratio whose two shares may differ by these factors."""
    return float(np.hypot(np.log(first), np.log(second)))


def _share(odds: float, right: float, wrong: float) -> float:
    """The share of an answer that is right: `odds * right / (odds * right + wrong)`."""
    given = odds * right + wrong
    return float(odds * right / given) if given > 0 else 0.0
