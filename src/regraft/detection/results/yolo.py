"""YOLO text files, as `sources.yolo` reads them: number of the class, centre and size as shares.

Six decimals are exact to 1/64 pixel up to 10,000 pixels; larger pictures get eight.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePosixPath

from regraft.detection.results.label_files import are_below, names_without_ending, side_lists
from regraft.detection.results.marked import MarkedBox, MarkedPicture
from regraft.detection.sources.yolo import NAME_FILES
from regraft.errors import DataError
from regraft.storage.tables import printable

OPENING = "# Boxes written by regraft."
IMAGES = "images/"
"""The folder of pictures next to `labels/`."""
_SIX_DECIMALS_PX = 10_000


def yolo_files(
    pictures: Collection[MarkedPicture], labels: Sequence[str], *, has_scores: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file: `data.yaml`, `classes.txt`, lists of the sides, `labels/PATH.txt`.

    Where all pictures are below `images/`, that folder is left out of the names: `images/a/1.jpg` has
    `labels/a/1.txt`.

    Args:
        pictures: the pictures in their order; one without boxes has an empty file.
        labels: all classes in their order.
        has_scores: whether the score of a found box is the sixth number of its row. Regraft reads such rows
            as boxes, without the score; other tools may refuse them.

    Raises:
        DataError: two pictures would share a file, or one would have that of the classes.
    """
    names = _names([picture.path for picture in pictures])
    numbers = {label: number for number, label in enumerate(labels)}
    lists = list(side_lists(pictures, "", lambda path: f"./{path}"))
    yield "data.yaml", _description(labels, [name for name, _ in lists], list(names))
    yield "classes.txt", "".join(f"{label}\n" for label in labels).encode()
    yield from lists
    for picture in pictures:
        rows = [_row(mark, numbers[mark.box.label], picture, has_scores) for mark in picture.boxes]
        yield f"labels/{names[picture.path]}.txt", "".join(rows).encode()


def _names(paths: Sequence[str]) -> dict[str, str]:
    """The path of each picture's file below `labels/`, without its ending."""
    names, shared = names_without_ending(paths, IMAGES)
    if shared:
        raise DataError(
            "YOLO names a file of boxes after its picture without the ending, so that "
            f"{' and '.join(map(printable, shared[0]))} would share one. Rename all but one of them, or "
            "write another format"
        )
    taken = [path for path, name in names.items() if f"{PurePosixPath(name).name.lower()}.txt" in NAME_FILES]
    if taken:
        raise DataError(
            f"YOLO keeps the names of the classes in a file that the boxes of {printable(taken[0])} would be "
            "written to. Rename the picture, or write another format"
        )
    return names


def _description(labels: Sequence[str], lists: Sequence[str], paths: Sequence[str]) -> bytes:
    """The file that names the classes; text in double quotes is the same in JSON and YAML."""
    sides = [f"{name.removesuffix('.txt')}: {name}" for name in lists]
    if not sides:
        sides = [f"train: {'images' if are_below(paths, IMAGES) else '.'}"]
    names = [f"  {number}: {json.dumps(label, ensure_ascii=False)}" for number, label in enumerate(labels)]
    return "\n".join([OPENING, "path: .", *sides, f"nc: {len(labels)}", "names:", *names, ""]).encode()


def _row(mark: MarkedBox, number: int, picture: MarkedPicture, has_scores: bool) -> str:
    box, width, height = mark.box, picture.width, picture.height
    decimals = 6 if max(width, height) <= _SIX_DECIMALS_PX else 8
    shares = (
        (box.x_min + box.x_max) / 2 / width,
        (box.y_min + box.y_max) / 2 / height,
        (box.x_max - box.x_min) / width,
        (box.y_max - box.y_min) / height,
    )
    words = [str(number), *(f"{share:.{decimals}f}" for share in shares)]
    if has_scores and mark.score is not None:
        words.append(f"{mark.score:.6f}")
    return " ".join(words) + "\n"
