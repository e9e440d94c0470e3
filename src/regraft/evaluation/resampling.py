"""The bootstrap over images (Efron 1979), as counts: how often each image is drawn, for every draw at once.

With counts, a score of all draws is one matrix product or one cumulative sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.records import Estimate

Floats = npt.NDArray[Any]
_MOST, _LEAST = 1_000, 200  # draws: 200 give the bounds of an interval to about a tenth of its width
_MOST_WORK = 1_000_000_000  # draws x images x columns, a few seconds
_CHUNK = 4_000_000  # counts that are held at once, 32 MB


def number_of_draws(images: int, columns: int = 1) -> int:
    """How many draws an interval gets: 1,000, or fewer (at least 200) for very many images and columns.

    >>> number_of_draws(500), number_of_draws(100_000, 100)
    (1000, 200)
    """
    return max(_LEAST, min(_MOST, _MOST_WORK // max(images * columns, 1)))


def bootstrap_counts(images: int, *, draws: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    """How often each image is in each draw, `(n, images) float64` at a time; each row sums to `images`.

    Args:
        images: number of images, at least 1.
        draws: total number of draws.
        seed: random seed; it and the other arguments alone decide the draws.

    >>> counts = np.concatenate(list(bootstrap_counts(3, draws=4, seed=0)))
    >>> counts.shape, counts.sum(axis=1).tolist()
    ((4, 3), [3.0, 3.0, 3.0, 3.0])
    """
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // images)
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        drawn = generator.integers(0, images, (size, images)) + images * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * images)
        yield counts.reshape(size, images).astype(np.float64)


def percentile_interval(value: float, draws: Floats) -> Estimate:
    """A value with the 2.5 % and 97.5 % points of its bootstrap draws, widened to contain the value.

    Draws in which the score is not defined (NaN) are left out; without any other, there are no bounds.

    >>> percentile_interval(2.0, np.array([1.0, np.nan, 3.0])).low
    1.05
    """
    known = draws[~np.isnan(draws)]
    if not len(known):
        return Estimate(value=value)
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(value=value, low=float(min(low, value)), high=float(max(high, value)))
