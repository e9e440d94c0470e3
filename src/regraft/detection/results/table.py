"""CSV tables of boxes, as `sources.table` reads them: a row for each box, corners in pixels.

A picture without boxes has a row without coordinates. Text that a spreadsheet would take for a formula gets a
`'`, which is removed again when the table is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regraft.detection.results.marked import MarkedBox, MarkedPicture, plain
from regraft.storage.tables import csv_bytes

FOUND = ("path", "label", "score", "x_min", "y_min", "x_max", "y_max")
"""The columns of a table of found boxes."""
ANNOTATED = ("path", "width", "height", "label", "x_min", "y_min", "x_max", "y_max", "split")
"""The columns of a table of annotated boxes; `split` is empty where there is no side."""


def found_chunks(pictures: Iterable[MarkedPicture], *, has_header: bool = True) -> Iterator[bytes]:
    """The table of what a detector found, picture by picture, in their order."""
    if has_header:
        yield csv_bytes(FOUND, ())
    for picture in pictures:
        yield csv_bytes((), _found_rows(picture)).split(b"\n", 1)[1]


def annotated_table(pictures: Iterable[MarkedPicture]) -> bytes:
    """The table of an annotated data set, the pictures in their order."""
    return csv_bytes(ANNOTATED, _annotated_rows(pictures))


def _found_rows(picture: MarkedPicture) -> Iterator[list[str]]:
    for mark in picture.boxes:
        score = "" if mark.score is None else f"{mark.score:.6g}"
        yield [picture.path, mark.box.label, score, *_corners(mark)]
    if not picture.boxes:
        yield [picture.path, *[""] * 6]


def _annotated_rows(pictures: Iterable[MarkedPicture]) -> Iterator[list[str]]:
    for picture in pictures:
        first = [picture.path, str(picture.width), str(picture.height)]
        for mark in picture.boxes:
            yield [*first, mark.box.label, *_corners(mark), picture.side or ""]
        if not picture.boxes:
            yield [*first, *[""] * 5, picture.side or ""]


def _corners(mark: MarkedBox) -> list[str]:
    box = mark.box
    return [plain(value) for value in (box.x_min, box.y_min, box.x_max, box.y_max)]
