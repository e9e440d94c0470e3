"""Single boxes cut out as pictures: a data set for classification, a folder for each class.

`crops.csv` lists them with the picture that each comes from as its group. Crops of one picture are alike, so
what is fitted from that table keeps them on one side of the split.
"""

from __future__ import annotations

import io
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from regraft.data.pictures.loading import LoadLimits, decode, read_file
from regraft.detection.annotations.boxes import Box, BoxedPicture, BoxSet
from regraft.detection.results.label_files import LISTS
from regraft.detection.results.marked import plain
from regraft.errors import DataError, ImageError, SettingsError
from regraft.machine.processor import count_cores
from regraft.parallel import in_order
from regraft.progress import Reporter, Silent
from regraft.records import Side, SkippedFile
from regraft.storage.files import make_folder, whole_folder
from regraft.storage.tables import csv_bytes

_MOST_BYTES = 200  # a file's name has at most 255, of which some are needed for number and ending
_QUALITY = 95


@dataclass(frozen=True)
class Crops:
    """What was cut out."""

    folder: Path
    counts: Counter[tuple[str, Side | None]]
    """The number of crops by label and side."""
    skipped: tuple[SkippedFile, ...]
    """The pictures of boxes that were left out, and why."""
    folders: dict[str, str]
    """The name of the folder of each class; it differs from the label where that can't be a folder's name."""


@dataclass(frozen=True)
class _Crop:
    """A crop with its path below the folder."""

    path: str
    box: Box
    picture: BoxedPicture


def write_crops(
    boxes: BoxSet,
    folder: Path,
    *,
    margin_share: float = 0.1,
    min_side_px: float = 16.0,
    is_square: bool = False,
    limits: LoadLimits | None = None,
    reporter: Reporter | None = None,
) -> Crops:
    """Cut out every box and write it to `folder/LABEL/PICTURE_NUMBER.jpg`; the folder is whole or absent.

    Where there is a split, class folders are below `train`, `val` and `test`. Crops of JPEG files are JPEG
    files of high quality, others are PNG. `crops.csv` (path, label, split, group, box) lists them, and
    `skipped.csv` (path, reason) the boxes that were left out.

    Args:
        boxes: an annotated data set.
        folder: a new or empty folder.
        margin_share: how much of a box's width and height is added at each side, as far as the picture goes.
        min_side_px: boxes whose shorter side is smaller are left out.
        is_square: whether the shorter side is extended to the longer one, as far as the picture goes.
        limits: sizes of pictures that are accepted.
        reporter: receives progress.

    Raises:
        SettingsError: the margin is outside of 0 to 4, or the smallest side is negative.
        DataError: there is no box, or none that can be cut out.
        StorageError: the folder can't be written to.
    """
    check_crop_settings(margin_share, min_side_px)
    folders = folder_names(boxes.labels)
    names = _file_names([picture.path for picture in boxes.pictures])
    made: list[_Crop] = []
    skipped: list[SkippedFile] = []
    workers = count_cores()
    with whole_folder(folder) as place:
        cutter = _Cutter(Path(boxes.root), place, folders, names, margin_share, is_square, limits)
        usable = [
            _usable(picture, min_side_px, skipped, has_sides=_has_sides(boxes)) for picture in boxes.pictures
        ]
        jobs = [(picture, own) for picture, own in zip(boxes.pictures, usable, strict=True) if own]
        with (reporter or Silent()).phase("cutting out boxes", len(jobs)) as meter:
            for result in in_order(cutter.cut, jobs, workers=workers, ahead=2 * workers):
                if isinstance(result, SkippedFile):
                    skipped.append(result)
                else:
                    made += result
                meter.advance()
        _require(made, skipped)
        (place / "crops.csv").write_bytes(_listed(made, has_sides=_has_sides(boxes)))
        if skipped:
            rows = [(file.path, file.reason) for file in skipped]
            (place / "skipped.csv").write_bytes(csv_bytes(("path", "reason"), rows))
    counts = Counter((crop.box.label, crop.picture.side) for crop in made)
    return Crops(folder, counts, tuple(skipped), folders)


def check_crop_settings(margin_share: float, min_side_px: float) -> None:
    """Refuse settings of crops before anything is read.

    Raises:
        SettingsError: the margin is outside of 0 to 4, or the smallest side is negative or no number.
    """
    if not 0 <= margin_share <= 4:
        raise SettingsError(
            f"--margin {margin_share:g} is outside of 0 to 4; 0.1 adds a tenth of the box at each side"
        )
    if not 0 <= min_side_px < math.inf:
        raise SettingsError(f"--min-side {min_side_px:g} is not a number of pixels from 0 on")


def _require(made: Sequence[_Crop], skipped: Sequence[SkippedFile]) -> None:
    if made:
        return
    if not skipped:
        raise DataError("none of the pictures has a box, so there is nothing to cut out")
    reason = Counter(file.reason.rpartition(": ")[2] for file in skipped).most_common(1)[0][0]
    raise DataError(f"there is nothing to cut out; the most frequent of {len(skipped):,} reasons: {reason}")


def _has_sides(boxes: BoxSet) -> bool:
    return any(picture.side is not None for picture in boxes.pictures)


_Numbered = list[tuple[int, Box]]


def _usable(
    picture: BoxedPicture, min_side_px: float, skipped: list[SkippedFile], *, has_sides: bool
) -> _Numbered:
    """The boxes of a picture that are cut out, numbered from 1; the reasons of the others go to `skipped`."""
    usable = []
    for number, box in enumerate(picture.boxes, start=1):
        side_px = min(box.x_max - box.x_min, box.y_max - box.y_min)
        if has_sides and picture.side is None:
            reason = "its picture is on no side of the split"
        elif box.is_crowd:
            reason = "it encloses a group of objects"
        elif side_px < min_side_px:
            reason = f"its shorter side has fewer than {min_side_px:g} pixels (--min-side)"
        else:
            usable.append((number, box))
            continue
        skipped.append(SkippedFile(picture.path, f"box {number}, {box.label} ({_corners(box)}): {reason}"))
    return usable


@dataclass(frozen=True)
class _Cutter:
    """Cuts boxes out of pictures and writes them below a folder."""

    root: Path
    place: Path
    folders: dict[str, str]
    names: dict[str, str]
    margin_share: float
    is_square: bool
    limits: LoadLimits | None

    def cut(self, job: tuple[BoxedPicture, _Numbered]) -> list[_Crop] | SkippedFile:
        """The crops of a picture, or why it can't be read."""
        picture, boxes = job
        try:
            decoded = decode(read_file(self.root / picture.path, self.limits), limits=self.limits)
        except ImageError as error:
            return SkippedFile(picture.path, str(error))
        crops = []
        for number, box in boxes:
            ending = "jpg" if decoded.format == "JPEG" else "png"
            side = [LISTS[picture.side]] if picture.side else []
            path = PurePosixPath(
                *side, self.folders[box.label], f"{self.names[picture.path]}_{number}.{ending}"
            )
            make_folder((self.place / path).parent)
            frame = crop_frame(box, self.margin_share, decoded.image.size, is_square=self.is_square)
            crop = decoded.image.crop(frame)
            (self.place / path).write_bytes(_encoded(crop, ending))
            crops.append(_Crop(str(path), box, picture))
        return crops


def crop_frame(
    box: Box, margin_share: float, size: tuple[int, int], *, is_square: bool = False
) -> tuple[int, int, int, int]:
    """A box with its margin in whole pixels: left, top, right and bottom, within the picture.

    >>> crop_frame(Box("cat", 10, 2, 30.5, 22), 0.1, (32, 32))
    (7, 0, 32, 24)
    >>> crop_frame(Box("cat", 0, 10, 20, 14), 0.0, (32, 32), is_square=True)
    (0, 2, 20, 22)
    """
    wide, high = box.x_max - box.x_min, box.y_max - box.y_min
    across, down = wide * (1 + 2 * margin_share), high * (1 + 2 * margin_share)
    if is_square:
        across = down = max(across, down)
    left, right = _span((box.x_min + box.x_max) / 2, across, size[0], is_moved=is_square)
    top, bottom = _span((box.y_min + box.y_max) / 2, down, size[1], is_moved=is_square)
    return left, top, right, bottom


def _span(middle: float, length: float, side: int, *, is_moved: bool) -> tuple[int, int]:
    """Whole pixels around a middle, cut off at the picture's border or moved away from it."""
    start, end = middle - length / 2, middle + length / 2
    if is_moved:
        move = max(0.0, -start) - max(0.0, end - side)
        start, end = start + move, end + move
    return max(0, math.floor(start + 1e-9)), min(side, math.ceil(end - 1e-9))


def _encoded(image: Image.Image, ending: str) -> bytes:
    file = io.BytesIO()
    if ending == "jpg":
        image.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    else:
        image.save(file, "PNG")
    return file.getvalue()


def _listed(crops: Sequence[_Crop], *, has_sides: bool) -> bytes:
    split = ["split"] if has_sides else []

    def row(crop: _Crop) -> Iterator[str]:
        yield from (crop.path, crop.box.label)
        if has_sides:
            yield crop.picture.side or ""
        yield from (crop.picture.path, _corners(crop.box))

    return csv_bytes(["path", "label", *split, "group", "box"], (list(row(crop)) for crop in crops))


def _corners(box: Box) -> str:
    return ", ".join(plain(value) for value in (box.x_min, box.y_min, box.x_max, box.y_max))


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """A folder's name for each label: itself where it can be one, otherwise a name that is like it.

    >>> folder_names(["cat", "a/b", "a_b", ".."])
    {'cat': 'cat', 'a/b': 'a_b_2', 'a_b': 'a_b', '..': '_.'}
    """
    wanted = {label: _short(label.replace("/", "_").replace("\\0", "_")) for label in labels}
    wanted = {label: f"_{name[1:]}" if name.startswith(".") else name for label, name in wanted.items()}
    unchanged = {label for label, name in wanted.items() if label == name}
    return {label: name if label in unchanged else _free(name, unchanged) for label, name in wanted.items()}


def _file_names(paths: Sequence[str]) -> dict[str, str]:
    """A file's name without ending for each picture: its own, or its path where that is not unique."""
    stems = Counter(PurePosixPath(path).stem.casefold() for path in paths)
    taken: set[str] = set()
    names = {}
    for path in paths:
        own = PurePosixPath(path)
        name = own.stem if stems[own.stem.casefold()] == 1 else str(own.with_suffix("")).replace("/", "_")
        names[path] = _free(_short(name), taken)
    return names


def _free(name: str, taken: set[str]) -> str:
    """A name that is not taken yet, which then is."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _short(name: str) -> str:
    """A name whose bytes leave room for a number and an ending."""
    while len(os.fsencode(name)) > _MOST_BYTES:
        name = name[:-1]
    return name
