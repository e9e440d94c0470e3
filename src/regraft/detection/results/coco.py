"""COCO JSON (Lin et al. 2014, and the format page of cocodataset.org), as `sources.coco` reads it.

An annotation has a `score` where a detector found it; tools that know no scores ignore it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from regraft.detection.results.marked import MarkedBox, MarkedPicture

OPENING = '{"info": {"description": "boxes written by regraft"}'
"""How each file begins; by this Regraft recognises its own."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def coco_chunks(pictures: Collection[MarkedPicture], labels: Sequence[str]) -> Iterator[bytes]:
    """The file in pieces: an entry on each line, classes and pictures numbered from 1.

    Args:
        pictures: the pictures in their order; those without boxes are listed, too.
        labels: all classes in their order.
    """
    numbers = {label: number for number, label in enumerate(labels, start=1)}
    categories = ({"id": number, "name": label} for label, number in numbers.items())
    images = (
        {"id": number, "file_name": one.path, "width": one.width, "height": one.height}
        for number, one in enumerate(pictures, start=1)
    )
    marks = (
        (image, numbers[mark.box.label], mark)
        for image, picture in enumerate(pictures, start=1)
        for mark in picture.boxes
    )
    annotations = (_annotation(number, *mark) for number, mark in enumerate(marks, start=1))
    yield OPENING.encode()
    # Categories come before the long lists: a file is recognised by its first bytes.
    for name, entries in (("categories", categories), ("images", images), ("annotations", annotations)):
        yield f',\n"{name}": ['.encode()
        for place, entry in enumerate(entries):
            yield (",\n" if place else "\n").encode() + _line(entry)
        yield b"]"
    yield b"}\n"


def _annotation(number: int, image: int, category: int, mark: MarkedBox) -> dict[str, Any]:
    box = mark.box
    frame = (box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min)
    entry: dict[str, Any] = {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [_short(value) for value in frame],
        "area": _short(box.area),
        "iscrowd": int(box.is_crowd),
    }
    return entry if mark.score is None else {**entry, "score": round(mark.score, 6)}


def _short(value: float) -> float:
    return int(value) if value == int(value) else value


def _line(entry: dict[str, Any]) -> bytes:
    """An entry as JSON; bytes of a file name that are no text become escapes, which every reader accepts."""
    text = json.dumps(entry, ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
