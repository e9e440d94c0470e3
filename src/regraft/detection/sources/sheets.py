"""What an annotation file says about one picture, before anything is compared with the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

from regraft.errors import DataError
from regraft.records import Side

_Object = TypeVar("_Object")
Unit = Literal["pixels", "shares"]
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Document:
    """An annotation file in memory."""

    name: str
    """Path relative to the data set's root, with forward slashes."""
    data: bytes
    classes: tuple[str, ...] | None = None
    """Names of the classes where another file has them (YOLO); None where no file does."""


@dataclass(frozen=True)
class Mark:
    """One box as a file has it."""

    where: str
    """Its place in the file, for messages: `object 3`, `line 7`."""
    label: str
    """The label as it is written."""
    corners: Corners
    """Left, top, right, bottom."""
    is_crowd: bool = False
    is_difficult: bool = False


@dataclass(frozen=True)
class Sheet:
    """What a file says about one picture."""

    names: tuple[str, ...]
    """Names or paths that the picture may have, the most telling first. They are compared with the files of
    the data set, and never opened."""
    marks: tuple[Mark, ...]
    refused: tuple[tuple[str, str], ...] = ()
    """Objects that can't be read: where each is, and why."""
    size: tuple[float, float] | None = None
    """Width and height of the picture as the file states them."""
    unit: Unit | None = "pixels"
    """What coordinates are counted in; None if the numbers have to tell."""
    side: Side | None = None
    """Side of the split, if the file states it for this picture."""
    remarks: tuple[str, ...] = ()
    """What is unusual, as sentences; a sentence that many files give is shown once."""


def marks_of(
    objects: Iterable[_Object], read: Callable[[str, _Object], Iterable[Mark]], what: str = "object"
) -> tuple[tuple[Mark, ...], tuple[tuple[str, str], ...]]:
    """The boxes of a file's objects, and for each object that can't be read its place and the reason.

    Args:
        objects: the objects in the order of the file.
        read: gives the boxes of an object from its place (`object 1`) and itself; its `DataError` is the
            reason why the object is refused.
        what: what the file calls an object.
    """
    marks: list[Mark] = []
    refused: list[tuple[str, str]] = []
    for number, item in enumerate(objects, start=1):
        where = f"{what} {number}"
        try:
            marks += read(where, item)
        except DataError as error:
            refused.append((where, str(error)))
    return tuple(marks), tuple(refused)


def around(points: Iterable[tuple[float, float]]) -> Corners:
    """The smallest box around points.

    Raises:
        DataError: there are fewer than two points.

    >>> around([(3, 1), (1, 5), (2, 2)])
    (1, 1, 3, 5)
    """
    places = list(points)
    if len(places) < 2:
        raise DataError(f"a shape of {len(places)} points encloses nothing; at least 2 are needed")
    across, down = [x for x, _ in places], [y for _, y in places]
    return min(across), min(down), max(across), max(down)
