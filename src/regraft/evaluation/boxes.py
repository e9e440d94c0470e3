"""True boxes and detections of a set of images as arrays, and how much boxes overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.errors import DataError

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrueBoxes:
    """The annotated boxes of all images, one after another; made by `true_boxes`."""

    images: Ints
    """`(G,)`, the number of the image of each box."""
    classes: Ints
    """`(G,)`, the number of its class."""
    corners: Floats
    """`(G, 4)`, left, top, right and bottom edge in pixels."""
    areas: Floats
    """`(G,)`, the area in square pixels by which a box is small, medium or large."""
    is_crowd: Bools
    """`(G,)`, whether the box is a region with many objects, in which any number of detections is ignored."""
    is_ignored: Bools
    """`(G,)`, whether finding the box, or missing it, is not counted; true for each region of a crowd."""

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Detections:
    """The boxes that a detector found in all images, in any order; made by `detections`."""

    images: Ints
    """`(D,)`, the number of the image of each box."""
    classes: Ints
    """`(D,)`, the number of its class."""
    corners: Floats
    """`(D, 4)`, left, top, right and bottom edge in pixels."""
    scores: Floats
    """`(D,)`, larger where the detector is more certain."""

    def __len__(self) -> int:
        return len(self.images)


def true_boxes(
    images: npt.ArrayLike,
    classes: npt.ArrayLike,
    corners: npt.ArrayLike,
    *,
    is_crowd: npt.ArrayLike | None = None,
    is_ignored: npt.ArrayLike | None = None,
    areas: npt.ArrayLike | None = None,
) -> TrueBoxes:
    """The annotated boxes of all images; images without boxes are just not mentioned.

    Args:
        images: `(G,)`, the number of the image of each box, from 0; G may be 0.
        classes: `(G,)`, the number of its class, from 0.
        corners: `(G, 4)`, left, top, right and bottom edge in pixels; a box may have no area.
        is_crowd: `(G,)`, COCO's `iscrowd`; None if no box is a crowd.
        is_ignored: `(G,)`, Pascal VOC's `difficult`: the box is matched by at most one detection, and neither
            is counted; None if all boxes count.
        areas: `(G,)`, areas in square pixels, such as those of COCO's outlines; None for width times height.

    Raises:
        DataError: an edge is not a number, a box is inverted, or a number is negative.

    >>> len(true_boxes([0, 0, 1], [0, 1, 0], [[0, 0, 10, 10], [5, 5, 9, 9], [1, 2, 3, 4]]))
    3
    """
    numbers = _numbers(images, "image"), _numbers(classes, "class")
    edges = _edges(corners, len(numbers[0]))
    crowd = _flags(is_crowd, len(edges))
    return TrueBoxes(
        *numbers,
        corners=edges,
        areas=_areas(edges) if areas is None else np.asarray(areas, dtype=np.float64).reshape(len(edges)),
        is_crowd=crowd,
        is_ignored=_flags(is_ignored, len(edges)) | crowd,
    )


def detections(
    images: npt.ArrayLike, classes: npt.ArrayLike, corners: npt.ArrayLike, scores: npt.ArrayLike
) -> Detections:
    """The boxes that a detector found.

    Args:
        images: `(D,)`, the number of the image of each box, from 0; D may be 0.
        classes: `(D,)`, the number of its class, from 0.
        corners: `(D, 4)`, left, top, right and bottom edge in pixels.
        scores: `(D,)`, finite; larger where the detector is more certain. Of equal scores in an image, the
            first one comes first.

    Raises:
        DataError: an edge or a score is not a number, a box is inverted, or a number is negative.

    >>> detections([0, 0], [0, 0], [[0, 0, 3, 5], [1, 1, 2, 2]], [0.9, np.nan])
    Traceback (most recent call last):
      ...
    regraft.errors.DataError: the score of detection 1 is nan; expected a finite number
    """
    numbers = _numbers(images, "image"), _numbers(classes, "class")
    edges = _edges(corners, len(numbers[0]))
    certainty = np.asarray(scores, dtype=np.float64).reshape(len(edges))
    _refuse(
        ~np.isfinite(certainty),
        lambda row: f"the score of detection {row} is {certainty[row]}; expected a finite number",
    )
    return Detections(*numbers, corners=edges, scores=certainty)


def overlaps(first: Floats, second: Floats, is_crowd: Bools | None = None) -> Floats:
    """Intersection over union of each box with each other one.

    For a crowd, the union is replaced by the area of the first box, so that a box inside is covered entirely
    (COCO's rule; Lin et al. 2014, appendix). Boxes that do not intersect, and those without area, have 0.

    Args:
        first: `(D, 4)`, left, top, right and bottom edges.
        second: `(G, 4)`.
        is_crowd: `(G,)`, whether each of the second is a crowd; None if none is.

    Returns:
        `(D, G) float64` in [0, 1].

    >>> overlaps(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10], [0, 0, 10, 20]])).round(3)
    array([[0.333, 0.5  ]])
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.maximum(high - low, 0)
    shared = sides[..., 0] * sides[..., 1]
    own = np.broadcast_to(_areas(first)[:, None], shared.shape)
    union = own + _areas(second) - shared
    if is_crowd is not None:
        union = np.where(is_crowd, own, union)
    shares: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return shares


def _areas(corners: Floats) -> Floats:
    areas: Floats = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return areas


def _numbers(values: npt.ArrayLike, name: str) -> Ints:
    numbers = np.asarray(values, dtype=np.int64).ravel()
    _refuse(numbers < 0, lambda row: f"the {name} number of box {row} is {numbers[row]}; expected 0 or more")
    return numbers


def _edges(corners: npt.ArrayLike, count: int) -> Floats:
    edges = np.asarray(corners, dtype=np.float64).reshape(count, 4)

    def written(row: int) -> str:
        return ", ".join(str(float(edge)) for edge in edges[row])

    _refuse(
        ~np.array(np.isfinite(edges).all(axis=1)),
        lambda row: f"box {row} has edges {written(row)}; expected four finite numbers",
    )
    _refuse(
        np.array((edges[:, 2:] < edges[:, :2]).any(axis=1)),
        lambda row: (
            f"box {row} is inverted: its edges are {written(row)}; expected left <= right and top <= bottom"
        ),
    )
    return edges


def _flags(values: npt.ArrayLike | None, count: int) -> Bools:
    return np.zeros(count, bool) if values is None else np.asarray(values, dtype=bool).reshape(count)


def _refuse(is_wrong: npt.NDArray[Any], message: Callable[[int], str]) -> None:
    """Raise a DataError about the first row that is wrong."""
    wrong = np.flatnonzero(is_wrong)
    if len(wrong):
        raise DataError(message(int(wrong[0])))
