"""Images that look the same in small, and the groups that pairs of equal images form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

THUMBNAIL_PX = 16
_BLOCK = 2048
_MIN_CORRELATION = 0.985  # finds 60 of 61 pairs of two independent lists (docs/log.md)
_MIN_CONTRAST = 4.0  # standard deviation of grey levels; flatter thumbnails can't be compared reliably


def near_duplicates(thumbnails: npt.NDArray[np.uint8]) -> Iterator[Ints]:
    """Pairs `(i, j)`, i < j, of images that look alike, in arrays `(M, 2)`: they correlate above 0.985.

    Correlation ignores brightness and contrast, so re-exported and re-compressed copies are found; crops and
    mirror images are not. All pairs are compared, in blocks: `N^2 * 256` multiply-adds, about a minute
    for 100,000 images on two cores.

    Args:
        thumbnails: grey thumbnails of 16 x 16 pixels, `(N, 256) uint8`.
    """
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    contrast = np.sqrt(np.mean(values**2, axis=1))
    usable = np.flatnonzero(contrast >= _MIN_CONTRAST)
    values = values[usable] / (contrast[usable, None] * THUMBNAIL_PX)
    for start in range(0, len(usable), _BLOCK):
        rows = values[start : start + _BLOCK]
        for other in range(start, len(usable), _BLOCK):
            first, second = np.nonzero(rows @ values[other : other + _BLOCK].T > _MIN_CORRELATION)
            is_new = first + start < second + other
            if is_new.any():
                yield usable[np.stack([first[is_new] + start, second[is_new] + other], axis=1)]


def connected(count: int, pairs: Ints) -> Ints:
    """The smallest member of each item's group, if `pairs` `(M, 2)` connect items (union-find).

    >>> connected(4, np.array([(0, 2), (2, 3)])).tolist()
    [0, 1, 0, 0]
    """
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for a, b in pairs.tolist():
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return np.array([root(item) for item in range(count)], dtype=np.int64)
