"""Images that look the same, and the groups that pairs of equal images form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

THUMBNAIL_PX = 16
_BLOCK = 2048
_MIN_CORRELATION = 0.985  # finds 60 of 61 pairs of two independent lists (docs/log.md)
_MIN_CONTRAST = 4.0  # standard deviation of grey levels; flatter thumbnails can't be compared reliably


def near_duplicates(thumbnails: npt.NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Pairs `(i, j)`, i < j, of images that look alike: their thumbnails correlate above 0.985.

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
            alike = np.argwhere(rows @ values[other : other + _BLOCK].T > _MIN_CORRELATION)
            for i, j in alike[alike[:, 0] + start < alike[:, 1] + other]:
                yield int(usable[start + i]), int(usable[other + j])


def connected(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """The smallest member of each item's group, if `pairs` connect items (union-find).

    >>> connected(4, [(0, 2), (2, 3)])
    [0, 1, 0, 0]
    """
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return [root(item) for item in range(count)]
