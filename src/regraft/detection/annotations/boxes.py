"""A data set whose pictures have boxes: the records that readers make and checks complete."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from regraft.records import Finding, Side, SkippedFile


@dataclass(frozen=True, order=True)
class Box:
    """A rectangle around one object, in pixels of the upright picture, whose top left corner is (0, 0).

    Coordinates are multiples of 1/64 pixel, so that a box is the same to the bit whether its file has pixels
    or shares of the picture. Pixels of Pascal VOC are taken as written, as the tools of today write them.

    >>> Box("cat", 1, 2, 4, 6).area
    12
    """

    label: str
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    is_crowd: bool = False
    """Whether it encloses a group of objects, not one (`iscrowd` in COCO)."""
    is_difficult: bool = False
    """Whether its annotator marked it as hard to see (`difficult` in Pascal VOC)."""

    @property
    def area(self) -> float:
        """Width times height in square pixels."""
        return (self.x_max - self.x_min) * (self.y_max - self.y_min)


@dataclass(frozen=True)
class BoxedPicture:
    """One usable picture with its boxes; a picture without boxes is a background."""

    path: str
    """Path relative to the data set's root, with forward slashes."""
    sha256: str
    """SHA-256 of the file's bytes."""
    width: int
    """Width of the upright picture in pixels."""
    height: int
    side: Side | None
    """Side of the published split; None where there is none."""
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class BoxSet:
    """A data set with boxes: its pictures, the files that can't be used, and what was noticed."""

    root: str
    format: str
    """The format of the annotation files, as a person calls it, for example `Pascal VOC XML`."""
    files: int
    """Number of annotation files."""
    pictures: tuple[BoxedPicture, ...]
    skipped: tuple[SkippedFile, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, ordered by name."""
        return tuple(sorted({box.label for picture in self.pictures for box in picture.boxes}))

    @property
    def backgrounds(self) -> tuple[BoxedPicture, ...]:
        """The pictures without a box."""
        return tuple(picture for picture in self.pictures if not picture.boxes)

    def counts(self) -> Counter[tuple[str, Side | None]]:
        """The number of boxes by label and side."""
        return Counter((box.label, picture.side) for picture in self.pictures for box in picture.boxes)
