"""The bootstrap over images (Efron 1979), as counts: how often each image is drawn, for every draw at once.

With counts, a score of all draws is one matrix product or one cumulative sum. Where images belong together,
whole groups are drawn (Davison & Hinkley 1997, section 3.8), so that a draw may have more or fewer images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.evaluation.intervals.groups import Ints, number_of_groups, tail_share
from regraft.evaluation.intervals.shares import wilson
from regraft.records import Estimate

Floats = npt.NDArray[Any]
_MOST, _LEAST = 1_000, 200  # draws: 200 give the bounds of an interval to about a tenth of its width
_MOST_WORK = 1_000_000_000  # draws x images x columns, a few seconds
_SAME = 1e-9  # scores that differ by less are the same but for rounding
_CHUNK = 4_000_000  # counts that are held at once, 32 MB


def number_of_draws(images: int, columns: int = 1) -> int:
    """How many draws an interval gets: 1,000, or fewer (at least 200) for very many images and columns.

    >>> number_of_draws(500), number_of_draws(100_000, 100)
    (1000, 200)
    """
    return max(_LEAST, min(_MOST, _MOST_WORK // max(images * columns, 1)))


def bootstrap_counts(
    images: int, *, draws: int, seed: int, groups: Ints | None = None
) -> Iterator[npt.NDArray[np.float64]]:
    """How often each image is in each draw, `(n, images) float64` at a time.

    Args:
        images: number of images, at least 1.
        draws: total number of draws.
        seed: random seed; it and the other arguments alone decide the draws.
        groups: the number of each image's group, `(images,)`; None if every image is a group of its own, so
            that each row sums to `images`.

    >>> counts = np.concatenate(list(bootstrap_counts(3, draws=4, seed=0)))
    >>> counts.shape, counts.sum(axis=1).tolist()
    ((4, 3), [3.0, 3.0, 3.0, 3.0])
    """
    drawn = number_of_groups(groups) or images
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // images)
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        places = generator.integers(0, drawn, (size, drawn)) + drawn * np.arange(size)[:, None]
        counts = np.bincount(places.ravel(), minlength=size * drawn).reshape(size, drawn).astype(np.float64)
        yield counts if groups is None else counts[:, groups]


def percentile_interval(value: float, draws: Floats, groups: int | None = None) -> Estimate:
    """A value with the 2.5 % and 97.5 % points of its bootstrap draws, widened to contain the value.

    Draws in which the score is not defined (NaN) are left out; without any other, there are no bounds.

    Args:
        value: the value.
        draws: the same of each draw, `(B,)`.
        groups: the number of groups if these were drawn, for which points further out are taken; a single
            group has no bounds. None if images were drawn.

    >>> percentile_interval(2.0, np.array([1.0, np.nan, 3.0])).low
    1.05
    """
    known = draws[~np.isnan(draws)]
    if not len(known) or groups == 1:
        return Estimate(value=value)
    tail = tail_share(groups)
    low, high = np.quantile(known, [tail, 1 - tail])
    return Estimate(value=value, low=float(min(low, value)), high=float(max(high, value)))


def bounded_interval(value: float, draws: Floats, units: int, groups: int | None = None) -> Estimate:
    """The interval of a score within 0 and 1, which keeps a width where it is 0 or 1 in every draw.

    What is perfect in each of a few images is perfect in every draw of them, too. Then the interval is that
    of a share of as many images (Wilson 1927).

    Args:
        value: the score.
        draws: the same of each draw, `(B,)`.
        units: how many images the score is about, or groups if these were drawn.
        groups: the number of all groups if these were drawn; None if images were.

    >>> perfect = bounded_interval(1.0, np.ones(1000), 8)
    >>> round(perfect.low, 3), perfect.high
    (0.676, 1.0)
    """
    estimate = percentile_interval(value, draws, groups)
    if estimate.low is None or estimate.high is None or not units:
        return estimate
    if estimate.high - estimate.low > _SAME or min(value, 1 - value) > _SAME:
        return estimate
    bounds = wilson(round(value) * units, units)
    return Estimate(value=value, low=bounds.low, high=bounds.high)
