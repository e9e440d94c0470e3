"""Images that look the same in small, and the groups that pairs of equal images form."""

from __future__ import annotations

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
_BLOCK = 2048
_FEW = 20_000  # images of which all pairs are compared
_AXES = 8
_ROUNDING = 1e-5  # distances on the axes are computed in single precision
_PAIRS = 65_536  # pairs that are checked at once: 128 MB
_SAMPLE = 64  # vectors of a block whose neighbours are counted first
_MANY = 0.02  # share of all vectors from which on a tree takes longer than comparing them
_MIN_CORRELATION = 0.985  # finds 60 of 61 pairs of two independent lists (docs/log.md)
_MIN_CONTRAST = 4.0  # standard deviation of grey levels; flatter thumbnails can't be compared reliably


def near_duplicates(
    thumbnails: npt.NDArray[np.uint8], *, workers: int | None = None, reporter: Reporter | None = None
) -> Iterator[Ints]:
    """Pairs `(i, j)`, i < j, of images that look alike, in arrays `(M, 2)` with rising i.

    Alike is what correlates above 0.985. Correlation ignores brightness and contrast, so re-exported and
    re-compressed copies are found; crops and mirror images are not. Of up to 20,000 images all pairs are
    compared, in `N^2 * 256 / 2` multiply-adds. Of more images, those pairs are compared that are close on
    eight principal axes, which a k-d tree finds (Bentley 1975): the pairs are the same.

    Args:
        thumbnails: grey thumbnails of 16 x 16 pixels, `(N, 256) uint8`.
        workers: threads that look for pairs in the tree; None means one for each core.
        reporter: receives the progress where it takes long.
    """
    contrast = np.concatenate([_centred(block)[1] for block in _blocks(thumbnails)] or [np.zeros(0)])
    usable = np.flatnonzero(contrast >= _MIN_CONTRAST)
    values = np.empty((len(usable), thumbnails.shape[1]), dtype=np.float32)
    for start in range(0, len(usable), _BLOCK):
        some = usable[start : start + _BLOCK]
        values[start : start + _BLOCK] = _centred(thumbnails[some])[0] / (contrast[some, None] * THUMBNAIL_PX)
    if len(values) <= _FEW:
        yield from (usable[pairs] for pairs in _all_pairs(values) if len(pairs))
        return
    with (reporter or Silent()).phase("looking for copies and look-alikes", len(values)) as meter:
        for pairs in _near_pairs(values, workers or count_cores(), meter):
            if len(pairs):
                yield usable[pairs]


def _blocks(rows: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    return (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))


def _centred(thumbnails: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Thumbnails with a mean of 0, and the standard deviation of each."""
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values, np.sqrt(np.mean(values**2, axis=1))


def _all_pairs(values: Floats) -> Iterator[Ints]:
    """Pairs of unit vectors that correlate, by comparing all."""
    for start in range(0, len(values), _BLOCK):
        yield from _pairs_of(values, np.arange(start, min(start + _BLOCK, len(values))), start)


def _pairs_of(values: Floats, some: Ints, start: int) -> Iterator[Ints]:
    """Pairs of some vectors, in rising order, with all later ones; none of `some` comes before `start`."""
    for other in range(start, len(values), _BLOCK):
        first, second = np.nonzero(values[some] @ values[other : other + _BLOCK].T > _MIN_CORRELATION)
        pairs = np.stack([some[first], second + other], axis=1)
        yield pairs[pairs[:, 0] < pairs[:, 1]]


def _near_pairs(values: Floats, workers: int, meter: Meter) -> Iterator[Ints]:
    """Pairs of unit vectors that correlate, among those that are close on the principal axes.

    Of unit vectors, `|u - v|^2 = 2 - 2 u v`; on some of their axes they are never farther apart than on all.
    Where more than a fiftieth of all vectors are close, a tree saves nothing, and they are compared with all.
    """
    from scipy.spatial import cKDTree

    near = values @ np.linalg.eigh(values.T @ values)[1][:, -_AXES:]
    radius = math.sqrt(2 - 2 * _MIN_CORRELATION) + _ROUNDING
    tree = cKDTree(near)
    blocks = [np.sort(tree.indices[start : start + _BLOCK]) for start in range(0, len(values), _BLOCK)]

    def search(some: Ints) -> Ints | None:
        """The pairs of some neighbours in the tree; None if too many are close."""
        close = tree.query_ball_point(near[some[:: _BLOCK // _SAMPLE]], radius, return_length=True)
        if close.mean() > _MANY * len(values):
            return None
        found = cKDTree(near[some]).sparse_distance_matrix(tree, radius, output_type="ndarray")
        pairs = np.stack([some[found["i"]], found["j"]], axis=1)
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        parts = np.array_split(pairs, math.ceil(len(pairs) / _PAIRS) or 1)
        return np.concatenate([part[_correlate(values, part)] for part in parts])

    for some, pairs in zip(blocks, in_order(search, blocks, workers=workers, ahead=workers), strict=True):
        if pairs is None:
            yield from _pairs_of(values, some, int(some[0]))
        else:
            yield pairs
        meter.advance(len(some))


def _correlate(values: Floats, pairs: Ints) -> npt.NDArray[np.bool_]:
    """Which pairs of unit vectors correlate."""
    products = np.einsum("nd,nd->n", values[pairs[:, 0]], values[pairs[:, 1]])
    return np.asarray(products > _MIN_CORRELATION)


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
