"""Which side of the published split each picture is on: from folders, file names and lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from regraft.data.pictures.loading import LoadLimits, read_file
from regraft.data.sources.candidates import SIDES
from regraft.data.sources.side_names import parts_of, side_of
from regraft.detection.annotations.boxes import BoxedPicture
from regraft.detection.annotations.noticed import Noticed
from regraft.detection.annotations.picture_index import PictureIndex
from regraft.detection.annotations.recognition import Listing
from regraft.detection.sources.documents import text_of
from regraft.errors import DataError
from regraft.records import Side

_MAX_LIST_MB = 64.0


def side_by_folder(path: str) -> Side | None:
    """The side that a folder of a path stands for, the innermost one.

    >>> [side_by_folder(path) for path in ("train/images/1.jpg", "images/val2017/1.jpg", "a/1.jpg")]
    ['train', 'validation', None]
    """
    folders = path.split("/")[:-1]
    return next((side for side in map(side_of, reversed(folders)) if side), None)


def side_by_file(path: str) -> Side | None:
    """The side that an annotation file for many pictures is about, by its name or its folders.

    >>> side_by_file("annotations/instances_val2017.json"), side_by_file("train_labels.csv")
    ('validation', 'train')
    """
    word, _ = parts_of(PurePosixPath(path).stem)
    return SIDES[word] if word else side_by_folder(path)


def listed_sides(listing: Listing, index: PictureIndex, noticed: Noticed) -> dict[str, Side]:
    """The sides that lists of pictures give, such as ImageSets/Main/train.txt: a picture on each line."""
    sides: dict[str, Side] = {}
    for file in listing.others:
        side, name = side_of(file.stem), listing.name_of(file)
        if side is None:
            continue
        try:
            lines = text_of(read_file(file, LoadLimits(max_file_mb=_MAX_LIST_MB))).splitlines()
        except DataError as error:
            noticed.add("note", f"the list of pictures {name} {error}; it is not used", name)
            continue
        for line in filter(None, map(str.strip, lines)):
            path = index.find([line, line.split()[0]], near=name)
            if path is None:
                continue
            if sides.setdefault(path, side) != side:
                noticed.add(
                    "many-sides", f"is in the lists of {sides[path]} and {side}; {sides[path]} is used", path
                )
    return sides


def with_sides(pictures: Sequence[BoxedPicture], noticed: Noticed) -> tuple[BoxedPicture, ...]:
    """The pictures with the sides of a split, or without any where there is no complete split.

    A split has training pictures, and validation or test pictures. Pictures without a side are named.
    """
    there = {picture.side for picture in pictures}
    if "train" not in there or not there & {"validation", "test"}:
        return tuple(replace(picture, side=None) for picture in pictures)
    for picture in pictures:
        if picture.side is None:
            noticed.add(
                "no-side", "no folder, list or column says on which side of the split it is", picture.path
            )
    return tuple(pictures)


def copy_findings(pictures: Sequence[BoxedPicture], noticed: Noticed) -> None:
    """Findings about copies of one file that are on different sides, or have different boxes."""
    first: dict[str, BoxedPicture] = {}
    for picture in pictures:
        other = first.setdefault(picture.sha256, picture)
        if other is picture:
            continue
        if other.side != picture.side:
            text = f"the same picture is on the sides {other.side} and {picture.side}"
            noticed.add("leak", text, other.path, picture.path)
        if sorted(other.boxes) != sorted(picture.boxes):
            noticed.add(
                "conflicting-copies", "the same picture has different boxes", other.path, picture.path
            )
