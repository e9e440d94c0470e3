"""Pascal VOC XML (Everingham et al. 2010), as `sources.voc` reads it: a file for each picture.

Corners are counted from 0, as the tools of today do. A found box has a `score`, which other tools ignore.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from xml.sax.saxutils import escape

from regraft.detection.results.label_files import names_without_ending, side_lists
from regraft.detection.results.marked import MarkedBox, MarkedPicture, plain
from regraft.storage.tables import printable

IMAGES = "JPEGImages/"
"""The folder of pictures next to `Annotations/`."""


def voc_files(pictures: Collection[MarkedPicture]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file: `Annotations/PATH.xml`, and lists of the sides in `ImageSets/Main`.

    A file is named after its picture without the ending, or with it where that would mean several pictures.
    Where all pictures are below `JPEGImages/`, that folder is left out of the names.

    Args:
        pictures: the pictures in their order; one without boxes has a file without objects.
    """
    names, shared = names_without_ending([picture.path for picture in pictures], IMAGES)
    names |= {path: path for paths in shared for path in paths}
    for picture in pictures:
        yield f"Annotations/{names[picture.path]}.xml", _document(picture)
    yield from side_lists(pictures, "ImageSets/Main/", names.__getitem__)


def _document(picture: MarkedPicture) -> bytes:
    path = PurePosixPath(picture.path)
    folder = _text("folder", path.parent.name) if path.parent.name else ""
    lines = [
        "<annotation>",
        f"  {folder}{_text('filename', path.name)}",
        f"  <size><width>{picture.width}</width><height>{picture.height}</height><depth>3</depth></size>",
        *(f"  {_object(mark)}" for mark in picture.boxes),
        "</annotation>",
    ]
    return "\n".join([*lines, ""]).encode()


def _object(mark: MarkedBox) -> str:
    box = mark.box
    score = "" if mark.score is None else f"<score>{mark.score:.6g}</score>"
    return (
        f"<object>{_text('name', box.label)}<difficult>{int(box.is_difficult)}</difficult>{score}<bndbox>"
        f"<xmin>{plain(box.x_min)}</xmin><ymin>{plain(box.y_min)}</ymin>"
        f"<xmax>{plain(box.x_max)}</xmax><ymax>{plain(box.y_max)}</ymax></bndbox></object>"
    )


def _text(name: str, text: str) -> str:
    return f"<{name}>{escape(printable(text))}</{name}>"
