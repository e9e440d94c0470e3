"""Selective search (Uijlings et al. 2013): boxes around groups of alike neighbouring segments, no learning.

Segments by Felzenszwalb & Huttenlocher (2004) at two scales are merged two by two, the most alike first,
until one is left; the box around every group on the way is a proposal. Alike are groups with similar colours
and texture, small ones, and ones that fit into each other (sections 3.1 and 3.2). Simpler than the original:
one colour space (L*a*b*), textures from the brightness alone, two hierarchies instead of eighty.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]
SCALES = (80.0, 300.0)
"""The scales of the first segments: larger ones give larger segments."""
_LEAST_PX = 40  # smallest first segment
_LEAST_SIDE = 8  # of a proposal, in pixels
_BINS, _DIRECTIONS = 16, 8


@dataclass
class _Group:
    """Merged segments."""

    size: int
    box: Floats
    colours: Floats
    texture: Floats


def selective_search(pixels: npt.NDArray[np.uint8], *, most: int = 300) -> Floats:
    """Proposals of one picture, the ones that are probably objects first.

    As in section 4.3, the order is that of the hierarchies from the whole picture on, each place multiplied
    by a random number, so that not only large boxes come first; the numbers are the same for every picture.

    Args:
        pixels: `(H, W, 3) uint8`.
        most: the largest number of proposals.

    Returns:
        `(N, 4) float64`, left, top, right and bottom edge in pixels.
    """
    from skimage.color import rgb2lab
    from skimage.segmentation import felzenszwalb

    smooth = np.asarray(rgb2lab(pixels / 255.0), dtype=np.float32)
    generator = np.random.default_rng(0)
    boxes, places = [], []
    for scale in SCALES:
        labels = felzenszwalb(smooth / 100, scale=scale, sigma=0.8, min_size=_LEAST_PX)
        groups = _hierarchy(np.asarray(labels), smooth)
        for place, group in enumerate(reversed(groups)):
            boxes.append(group.box)
            places.append((place + 1) * generator.uniform())
    corners = np.array(boxes).reshape(-1, 4)[np.argsort(places, kind="stable")]
    corners = corners[(corners[:, 2:] - corners[:, :2] >= _LEAST_SIDE).all(axis=1)]
    _, first = np.unique(corners, axis=0, return_index=True)
    found: Floats = corners[np.sort(first)][:most]
    return found


def _hierarchy(labels: npt.NDArray[np.int64], lab: Floats) -> list[_Group]:
    """All groups in the order in which they came to be: the first segments, then every merger."""
    groups = _segments(labels, lab)
    near: dict[int, set[int]] = {number: set() for number in range(len(groups))}
    pairs = np.concatenate(
        [
            np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], axis=1),
            np.stack([labels[:-1].ravel(), labels[1:].ravel()], axis=1),
        ]
    )
    for one, other in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0).tolist():
        near[one].add(other)
        near[other].add(one)
    total = labels.size
    queue = [
        (-_likeness(groups[one], groups[other], total), one, other)
        for one in near
        for other in near[one]
        if one < other
    ]
    heapq.heapify(queue)
    while queue:
        _, one, other = heapq.heappop(queue)
        if one not in near or other not in near:
            continue
        number, beside = len(groups), (near.pop(one) | near.pop(other)) - {one, other}
        groups.append(_merged(groups[one], groups[other]))
        near[number] = beside
        for third in beside:
            near[third] = (near[third] - {one, other}) | {number}
            heapq.heappush(queue, (-_likeness(groups[number], groups[third], total), third, number))
    return groups


def _segments(labels: npt.NDArray[np.int64], lab: Floats) -> list[_Group]:
    count, flat = int(labels.max()) + 1, labels.ravel()
    sizes = np.bincount(flat, minlength=count)
    low, high = lab.min(axis=(0, 1)), lab.max(axis=(0, 1))
    bins = np.minimum((lab - low) / np.maximum(high - low, 1e-6) * _BINS, _BINS - 1).astype(np.int64)
    colours = np.concatenate(
        [_counted(flat, bins[..., band].ravel(), count, _BINS) for band in range(3)], axis=1
    )
    down, across = np.gradient(lab[..., 0])
    turns = (np.arctan2(down, across) / (2 * np.pi) % 1.0 * _DIRECTIONS).astype(np.int64) % _DIRECTIONS
    texture = _counted(flat, turns.ravel(), count, _DIRECTIONS, np.hypot(down, across).ravel())
    rows, columns = np.indices(labels.shape)
    edges = np.stack(
        [
            _least(flat, columns.ravel(), count),
            _least(flat, rows.ravel(), count),
            -_least(flat, -columns.ravel(), count) + 1,
            -_least(flat, -rows.ravel(), count) + 1,
        ],
        axis=1,
    ).astype(np.float64)
    return [
        _Group(int(sizes[number]), edges[number], colours[number], texture[number]) for number in range(count)
    ]


def _counted(
    labels: npt.NDArray[np.int64],
    bins: npt.NDArray[np.int64],
    count: int,
    width: int,
    weights: Floats | None = None,
) -> Floats:
    """A histogram of each segment, which sums to 1 where it is not empty, `(count, width)`."""
    sums = np.bincount(labels * width + bins, weights, minlength=count * width).reshape(count, width)
    shares: Floats = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-9)
    return shares


def _least(labels: npt.NDArray[np.int64], values: npt.NDArray[np.int64], count: int) -> Floats:
    result = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(result, labels, values)
    return result


def _likeness(one: _Group, other: _Group, total: int) -> float:
    """How alike two groups are: colours, texture, smallness and fit, from 0 to 6."""
    around = _around(one.box, other.box)
    area = float((around[2] - around[0]) * (around[3] - around[1]))
    size = one.size + other.size
    colours = float(np.minimum(one.colours, other.colours).sum())
    texture = float(np.minimum(one.texture, other.texture).sum())
    return colours + texture + (1 - size / total) + (1 - (area - size) / total)


def _merged(one: _Group, other: _Group) -> _Group:
    size = one.size + other.size
    share = one.size / size
    return _Group(
        size,
        _around(one.box, other.box),
        share * one.colours + (1 - share) * other.colours,
        share * one.texture + (1 - share) * other.texture,
    )


def _around(one: Floats, other: Floats) -> Floats:
    return np.concatenate([np.minimum(one[:2], other[:2]), np.maximum(one[2:], other[2:])])
