"""A share of images, such as an accuracy, with its 95 % interval; images of a group are not independent.

Of a patient with ten images, mostly all are right or all are wrong, so they say less than ten patients with
one image each. Images of groups are a sample of n / D independent ones, where D = 1 + (m - 1) r is the design
effect, m the mean size of the group of an image, and r the correlation within groups (Rao & Scott 1992). The
interval holds the shares p from which the measured one is at most 1.96 of *their* standard errors away, as
Wilson's does (1927): so it keeps a width where all images are right.

Few groups say little about r, and nothing if all images are right. Therefore r is no estimate, but for each p
its mean over all values that explain the data: beta-binomial groups (Skellam 1948) with r distributed as
Beta(1/2, 1) beforehand. For a p far below the measured share, r is larger than at the share itself: many
images that are right in spite of a low share are explained best by few groups that are right as a whole.

`benchmarks/group_intervals.py` compares this with other intervals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.evaluation.intervals.groups import Ints, Z
from regraft.records import Estimate

Floats = npt.NDArray[Any]

_SHARES = np.sin((np.arange(100) + 0.5) / 100 * np.pi / 2) ** 2  # close to each other near 0 and 1
_CORRELATIONS = ((np.arange(20) + 0.5) / 20) ** 2  # equally probable: Beta(1/2, 1)
_LARGEST = 200  # images of a group that say something about the correlation; more of them say the same


def wilson(successes: float, count: float) -> Estimate:
    """A share with its 95 % score interval (Wilson 1927).

    >>> estimate = wilson(9, 10)
    >>> round(estimate.low, 3), round(estimate.high, 3)
    (0.596, 0.982)
    """
    share = successes / count
    centre = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * (share * (1 - share) / count + Z**2 / (4 * count**2)) ** 0.5
    return Estimate(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half))


def share_estimate(rights: npt.NDArray[Any], groups: Ints | None = None) -> Estimate:
    """The share of images that are right, with its 95 % interval; see the top of this file.

    Args:
        rights: `(N,)`, 1 or true where an image is right, N at least 1.
        groups: the number of each image's group; None if every image is a group of its own, which gives
            Wilson's interval.

    >>> patients = np.repeat(np.arange(6), 10)
    >>> perfect = share_estimate(np.ones(60), patients)
    >>> round(perfect.low, 2), perfect.high
    (0.64, 1.0)
    >>> round(share_estimate(np.ones(60)).low, 2), round(share_estimate(np.ones(6)).low, 2)
    (0.94, 0.61)
    """
    if groups is None:
        return wilson(int(rights.sum()), len(rights))
    sizes = np.bincount(groups)
    right = np.bincount(groups, weights=rights).astype(np.int64)
    is_used = sizes > 0
    sizes, right = sizes[is_used], right[is_used]
    count = int(sizes.sum())
    value = int(right.sum()) / count
    effect = 1 + (float(np.square(sizes).sum()) / count - 1) * _correlations(right, sizes)
    errors = (value - _SHARES) / np.sqrt(_SHARES * (1 - _SHARES) * effect / count)
    low, high = _crossing(errors, Z), _crossing(-errors[::-1], Z, _SHARES[::-1])
    return Estimate(value=value, low=min(low or 0.0, value), high=max(1.0 if high is None else high, value))


def _crossing(errors: Floats, limit: float, shares: Floats = _SHARES) -> float | None:
    """The share at which falling errors reach the limit; None if even the first is below it."""
    place = int(np.argmax(errors <= limit))
    if place == 0:
        return None
    part = (errors[place - 1] - limit) / (errors[place - 1] - errors[place])
    return float(shares[place - 1] + part * (shares[place] - shares[place - 1]))


def _correlations(right: Ints, sizes: Ints) -> Floats:
    """The mean correlation within groups for each of `_SHARES`, given the data."""
    scale = np.minimum(1, _LARGEST / sizes)
    right, sizes = np.rint(right * scale).astype(np.int64), np.rint(sizes * scale).astype(np.int64)
    total = 1 / _CORRELATIONS - 1  # the sum of the beta distribution's parameters
    steps = np.arange(sizes.max())
    first, second = (np.log(side[:, None, None] * total[:, None] + steps) for side in (_SHARES, 1 - _SHARES))
    chance: Floats = first @ _more_than(steps, right) + second @ _more_than(steps, sizes - right)
    chance -= np.log(total[:, None] + steps) @ _more_than(steps, sizes)
    weights = np.exp(chance - chance.max(axis=1, keepdims=True))
    means: Floats = (weights @ _CORRELATIONS) / weights.sum(axis=1)
    return means


def _more_than(steps: Ints, counts: Ints) -> Floats:
    """How many of the counts are above each step."""
    return (len(counts) - np.cumsum(np.bincount(counts, minlength=len(steps)))[: len(steps)]).astype(
        np.float64
    )
