"""Formats with a file for each picture: what that file is called, and the lists of a split's sides."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import PurePosixPath

from regraft.data.sources.column_names import IMAGE_ENDINGS
from regraft.detection.results.marked import MarkedPicture
from regraft.records import Side

LISTS: dict[Side, str] = {"train": "train", "validation": "val", "test": "test"}
"""What the list of a side's pictures is called, without its ending."""


def names_without_ending(paths: Sequence[str], usual: str) -> tuple[dict[str, str], list[list[str]]]:
    """The path of each picture without its ending, and the groups of pictures that can't be told apart by it.

    Capitals make no difference, as readers of these formats ignore them.

    Args:
        paths: the paths of all pictures.
        usual: the folder of pictures in this format, `images/`; it is left out where all are below it.

    >>> names_without_ending(["images/a/1.jpg", "images/b/1.jpg"], "images/")
    ({'images/a/1.jpg': 'a/1', 'images/b/1.jpg': 'b/1'}, [])
    >>> names_without_ending(["1.jpg", "1.PNG"], "images/")[1]
    [['1.jpg', '1.PNG']]
    """
    names = {path: _without_ending(path) for path in paths}
    same: dict[str, dict[str, None]] = defaultdict(dict)
    for path, name in names.items():
        same[_key(name)][path] = None
    for path in paths:  # "a.png" is a picture, and the name of "a.png.jpg" without its ending
        if _key(path) in same:
            same[_key(path)][path] = None
    if are_below(paths, usual):
        names = {path: name.removeprefix(usual) for path, name in names.items()}
    return names, [list(group) for group in same.values() if len(group) > 1]


def are_below(paths: Sequence[str], folder: str) -> bool:
    """Whether all paths begin with a folder."""
    return all(path.startswith(folder) for path in paths)


def _without_ending(path: str) -> str:
    """A path without the ending of pictures; another ending is a part of the name."""
    place = PurePosixPath(path)
    return path.removesuffix(place.suffix) if place.suffix.lower() in IMAGE_ENDINGS else path


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def side_lists(
    pictures: Collection[MarkedPicture], folder: str, line: Callable[[str], str]
) -> Iterator[tuple[str, bytes]]:
    """A list of the pictures of each side that has some: its path, and a line for each picture."""
    for side, name in LISTS.items():
        lines = [line(picture.path) for picture in pictures if picture.side == side]
        if lines:
            yield (
                f"{folder}{name}.txt",
                "".join(f"{one}\n" for one in lines).encode("utf-8", "surrogateescape"),
            )
