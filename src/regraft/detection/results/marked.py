"""Boxes as files and pictures show them, found or annotated: within their picture, in steps of 1/64 pixel."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft.detection.annotations.boxes import Box, BoxSet
from regraft.detection.maps.found import Found
from regraft.records import Side

GRID = 64
"""Coordinates are multiples of 1/64 pixel, as those of annotations are."""
FoundInPicture = tuple[str, int, int, Found]
"""Path of a picture, its upright width and height in pixels, and what was found in it."""


@dataclass(frozen=True)
class MarkedBox:
    """A box, with the score of the detector that found it."""

    box: Box
    score: float | None = None
    """In [0, 1]; None for a box that was annotated."""


@dataclass(frozen=True)
class MarkedPicture:
    """A picture with its boxes; a picture without boxes is a background."""

    path: str
    """Path relative to the data set's root, with forward slashes."""
    width: int
    """Width of the upright picture in pixels."""
    height: int
    boxes: tuple[MarkedBox, ...]
    side: Side | None = None


@dataclass(frozen=True)
class MarkedSet:
    """Pictures with boxes, and all classes that these may have."""

    labels: tuple[str, ...]
    """The classes in their order; the place of one is its number."""
    pictures: tuple[MarkedPicture, ...]
    is_found: bool = False
    """Whether a detector found the boxes, so that they have scores."""

    @property
    def has_sides(self) -> bool:
        """Whether a picture has a side of a published split."""
        return any(picture.side is not None for picture in self.pictures)


def found_boxes(
    pictures: Iterable[FoundInPicture],
    labels: Sequence[str],
    thresholds: float | npt.NDArray[np.float64] = 0.0,
) -> MarkedSet:
    """What a detector found, above its thresholds.

    Boxes are clipped to their picture. What has no area in steps of 1/64 pixel is left out, and so is a
    second box of a class at the same place.

    Args:
        pictures: path, width, height and found boxes of each picture.
        labels: the names of the classes, by number.
        thresholds: the least score of a box, or that of each class `(K,)`.

    >>> marked = found_boxes([("a.jpg", 40, 30, Found.of([[2.001, 3, 50, 9]], [0], [0.9]))], ["cat"], 0.5)
    >>> marked.pictures[0].boxes[0].box
    Box(label='cat', x_min=2.0, y_min=3.0, x_max=40.0, y_max=9.0, is_crowd=False, is_difficult=False)
    """
    names = tuple(labels)
    marked = []
    for path, width, height, found in pictures:
        shown = found.above(thresholds)
        most = np.array([width, height, width, height], dtype=np.float64)
        corners = np.round(np.clip(shown.corners, 0, most) * GRID) / GRID
        boxes: dict[tuple[int, ...], MarkedBox] = {}
        for edges, number, score in zip(
            corners.tolist(), shown.classes.tolist(), shown.scores.tolist(), strict=True
        ):
            if edges[0] < edges[2] and edges[1] < edges[3]:
                boxes.setdefault((number, *edges), MarkedBox(Box(names[number], *edges), score))
        marked.append(MarkedPicture(path, width, height, tuple(boxes.values())))
    return MarkedSet(names, tuple(marked), is_found=True)


def as_lines(pictures: Iterable[MarkedPicture]) -> bytes:
    """Pictures with found boxes as lines of JSON, from which `KeptPictures` gives the same again."""
    lines = []
    for one in pictures:
        boxes = [
            [mark.box.label, mark.box.x_min, mark.box.y_min, mark.box.x_max, mark.box.y_max, mark.score]
            for mark in one.boxes
        ]
        lines.append(json.dumps([one.path, one.width, one.height, boxes]) + "\n")
    return "".join(lines).encode()


@dataclass(frozen=True)
class KeptPictures(Collection[MarkedPicture]):
    """Pictures with found boxes in files of `as_lines`, read whenever they are needed, one after another."""

    files: Sequence[Path]

    def __iter__(self) -> Iterator[MarkedPicture]:
        for file in self.files:
            with file.open("rb") as lines:
                for line in lines:
                    path, width, height, boxes = json.loads(line)
                    marks = (MarkedBox(Box(label, *corners), score) for label, *corners, score in boxes)
                    yield MarkedPicture(path, width, height, tuple(marks))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, picture: object) -> bool:
        return any(one == picture for one in self)


def annotated_boxes(boxes: BoxSet) -> MarkedSet:
    """The boxes of an annotated data set, with its classes by name and the sides of its published split."""
    pictures = tuple(
        MarkedPicture(
            picture.path, picture.width, picture.height, tuple(map(MarkedBox, picture.boxes)), picture.side
        )
        for picture in boxes.pictures
    )
    return MarkedSet(boxes.labels, pictures)


def plain(value: float) -> str:
    """A coordinate without needless zeros; six decimals are exact for multiples of 1/64.

    >>> plain(12.0), plain(0.015625)
    ('12', '0.015625')
    """
    return f"{value:.6f}".rstrip("0").rstrip(".")
