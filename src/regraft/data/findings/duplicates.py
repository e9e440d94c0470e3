"""Images that look the same in small, and the groups that pairs of equal images form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.machine.processor import count_cores
from regraft.parallel import in_order
from regraft.progress import Meter, Reporter, Silent

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]

THUMBNAIL_PX = 16
_ALL = 2048
_FEW = 20_000  # images of which all pairs are compared
_AXES = 16
_ROUNDING = 2e-5  # of squared distances on the axes, which are computed in single precision
_BLOCK, _PIECE = 256, 8192  # vectors that are compared with each other at once, on some axes
_PAIRS = 65_536  # pairs that are checked at once: 128 MB
_MANY = 0.01  # share of close ones from which on comparing all is faster than one pair after the other
_MIN_CORRELATION = 0.985  # finds 60 of 61 pairs of two independent lists (docs/log.md)
_MIN_CONTRAST = 4.0  # standard deviation of grey levels; flatter thumbnails can't be compared reliably


def near_duplicates(
    thumbnails: npt.NDArray[np.uint8], *, workers: int | None = None, reporter: Reporter | None = None
) -> Iterator[Ints]:
    """Pairs `(i, j)`, i < j, of images that look alike, in arrays `(M, 2)` with rising i.

    Alike is what correlates above 0.985. Correlation ignores brightness and contrast, so re-exported and
    re-compressed copies are found; crops and mirror images are not. Of up to 20,000 images all pairs are
    compared, in `N^2 * 256 / 2` multiply-adds. Of more images, those pairs are compared that are close on
    sixteen principal axes, which a grid on the first of them finds: the pairs are the same.

    Args:
        thumbnails: grey thumbnails of 16 x 16 pixels, `(N, 256) uint8`.
        workers: threads that look for pairs; None means one for each core.
        reporter: receives the progress where it takes long.
    """
    contrast = np.concatenate([_centred(block)[1] for block in _blocks(thumbnails)] or [np.zeros(0)])
    usable = np.flatnonzero(contrast >= _MIN_CONTRAST)
    values = np.empty((len(usable), thumbnails.shape[1]), dtype=np.float32)
    for start in range(0, len(usable), _ALL):
        some = usable[start : start + _ALL]
        values[start : start + _ALL] = _centred(thumbnails[some])[0] / (contrast[some, None] * THUMBNAIL_PX)
    if len(values) <= _FEW:
        yield from (usable[pairs] for pairs in _all_pairs(values) if len(pairs))
        return
    with (reporter or Silent()).phase("looking for copies and look-alikes", len(values)) as meter:
        for pairs in _near_pairs(values, workers or count_cores(), meter):
            if len(pairs):
                yield usable[pairs]


def _blocks(rows: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    return (rows[start : start + _ALL] for start in range(0, len(rows), _ALL))


def _centred(thumbnails: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Thumbnails with a mean of 0, and the standard deviation of each."""
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values, np.sqrt(np.mean(values**2, axis=1))


def _all_pairs(values: Floats) -> Iterator[Ints]:
    """Pairs of unit vectors that correlate, by comparing all."""
    for start in range(0, len(values), _ALL):
        for other in range(start, len(values), _ALL):
            block = values[start : start + _ALL] @ values[other : other + _ALL].T > _MIN_CORRELATION
            first, second = np.nonzero(block)
            pairs = np.stack([first + start, second + other], axis=1)
            yield pairs[pairs[:, 0] < pairs[:, 1]]


class _Grid:
    """Vectors in the order of a grid, so that those close to each other are in a few ranges of it.

    The cells lie on the first three principal axes, and are as wide as the radius; within a column of cells,
    vectors are ordered by the fourth axis.

    Args:
        near: the vectors on their principal axes, `(N, K) float32`, the widest axis first.
        radius: distance at which vectors are close.
    """

    def __init__(self, near: Floats, radius: float) -> None:
        cells = np.floor(near[:, :3] / radius).astype(np.int64)
        cells -= cells.min(axis=0) - 1
        _, height, depth = (cells.max(axis=0) + 2).tolist()
        columns = (cells[:, 0] * height + cells[:, 1]) * depth + cells[:, 2]
        self.order = np.lexsort((near[:, 3], columns))
        """The number of the vector at each place."""
        self._radius, self._along = radius, near[self.order, 3]
        names, starts = np.unique(columns[self.order], return_index=True)
        stops = [*starts[1:].tolist(), len(near)]
        self._ranges = dict(zip(names.tolist(), zip(starts.tolist(), stops, strict=True), strict=True))
        around = [(x * height + y) * depth + z for x, y, z in itertools.product((-1, 0, 1), repeat=3)]
        self._later = [step for step in around if step > 0]

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """Places of neighbours, from the first to before the last, and their column."""
        for column, (start, stop) in self._ranges.items():
            for first in range(start, stop, _BLOCK):
                yield first, min(first + _BLOCK, stop), column

    def candidates(self, first: int, last: int, column: int) -> Ints:
        """The places from `first` on where a vector may be close to one of a block."""
        low, high = self._along[first] - self._radius, self._along[last - 1] + self._radius
        own = self._ranges[column]
        found = [np.arange(first, first + np.searchsorted(self._along[first : own[1]], high, side="right"))]
        for step in self._later:
            if (other := self._ranges.get(column + step)) is not None:
                begin, end = np.searchsorted(self._along[slice(*other)], (low, high)) + other[0]
                found.append(np.arange(begin, end))
        return np.concatenate(found)


def _near_pairs(values: Floats, workers: int, meter: Meter) -> Iterator[Ints]:
    """Pairs of unit vectors that correlate, among those that are close on the principal axes.

    Of unit vectors, `|u - v|^2 = 2 - 2 u v`; on some of their axes they are never farther apart than on all.
    So a pair is sought in neighbouring cells of a grid, then compared on sixteen axes, then on all.
    """
    near = np.ascontiguousarray(values @ np.linalg.eigh(values.T @ values)[1][:, : -_AXES - 1 : -1])
    squared = 2 - 2 * _MIN_CORRELATION + _ROUNDING
    grid = _Grid(near, math.sqrt(squared))
    near, half = near[grid.order], np.full((len(near), 1), -0.5, dtype=np.float32)
    halved = half * np.einsum("nd,nd->n", near, near)[:, None]
    ones = np.ones_like(half)
    left, right = np.hstack([near, halved, ones]), np.hstack([near, ones, halved])  # -|u - v|^2 / 2

    def search(block: tuple[int, int, int]) -> list[Ints]:
        """The pairs of a block with vectors at later places."""
        first, last, column = block
        places, found = grid.candidates(first, last, column), []
        for start in range(0, len(places), _PIECE):
            some = places[start : start + _PIECE]
            close = np.flatnonzero(left[first:last] @ right[some].T >= -squared / 2)
            if len(close) > _MANY * (last - first) * len(some):
                own, others = values[grid.order[first:last]], values[grid.order[some]]
                close = np.flatnonzero(own @ others.T > _MIN_CORRELATION)
            one, other = close // len(some) + first, some[close % len(some)]
            pairs = np.sort(grid.order[np.stack([one, other], axis=1)[other > one]], axis=1)
            found += [
                part[_correlate(values, part)] for part in np.split(pairs, range(_PAIRS, len(pairs), _PAIRS))
            ]
        return [pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))] for pairs in found if len(pairs)]

    from threadpoolctl import threadpool_limits

    blocks = list(grid.blocks())
    with threadpool_limits(1):  # products are small, and each worker computes one
        for number, found in enumerate(in_order(search, blocks, workers=workers, ahead=workers)):
            yield from found
            meter.advance(blocks[number][1] - blocks[number][0])


def _correlate(values: Floats, pairs: Ints) -> npt.NDArray[np.bool_]:
    """Which pairs of unit vectors correlate."""
    products = np.einsum("nd,nd->n", values[pairs[:, 0]], values[pairs[:, 1]])
    return np.asarray(products > _MIN_CORRELATION)


def connected(count: int, pairs: Ints) -> Ints:
    """The smallest member of each item's group, if `pairs` `(M, 2)` connect items (union-find).

    >>> connected(4, np.array([(0, 2), (2, 3)])).tolist()
    [0, 1, 0, 0]
    """
    parent = {item: item for item in np.unique(pairs).tolist()}

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for a, b in pairs.tolist():
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    roots = np.arange(count, dtype=np.int64)
    roots[list(parent)] = [root(item) for item in parent]
    return roots
