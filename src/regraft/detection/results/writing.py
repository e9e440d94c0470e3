"""Boxes written for other tools: in which format, to which file or folder, and what that format can't say."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from regraft.detection.annotations.sides import side_by_folder
from regraft.detection.results.coco import OPENING, coco_chunks
from regraft.detection.results.label_files import LISTS
from regraft.detection.results.marked import MarkedPicture, MarkedSet
from regraft.detection.results.table import ANNOTATED, FOUND, annotated_table, found_chunks
from regraft.detection.results.voc import IMAGES as VOC_IMAGES
from regraft.detection.results.voc import voc_files
from regraft.detection.results.yolo import yolo_files
from regraft.errors import SettingsError
from regraft.outputs.files import OutputKind, new_folder, output_file
from regraft.progress import Reporter, Silent
from regraft.storage.files import make_folder, stream_atomically, whole_folder
from regraft.storage.tables import printable

BoxesTarget = Literal["coco", "yolo", "voc", "csv"]
"""The formats that boxes are written in."""
TARGETS: dict[BoxesTarget, str] = {
    "coco": "COCO JSON",
    "yolo": "YOLO text files",
    "voc": "Pascal VOC XML",
    "csv": "a table of boxes",
}
_ENDINGS: dict[BoxesTarget, str] = {"coco": ".json", "csv": ".csv"}
_FILE_ENDINGS = (".json", ".jsonl", ".csv", ".tsv", ".xml", ".txt", ".yaml", ".yml", ".zip")
_ALL = "instances.json"
_HEADERS = tuple(",".join(names).encode() for names in (FOUND, ANNOTATED))
_FILES: dict[BoxesTarget, OutputKind] = {
    "coco": OutputKind("boxes as COCO JSON", "boxes.json", lambda data: data.startswith(OPENING.encode())),
    "csv": OutputKind("a table of boxes", "boxes.csv", lambda data: data.split(b"\n", 1)[0] in _HEADERS),
}


@dataclass(frozen=True)
class WrittenBoxes:
    """What was written."""

    place: Path
    """The file or folder."""
    files: int
    """The number of files, without those of pictures."""
    pictures: int
    """The number of pictures that were copied."""
    remarks: tuple[str, ...]
    """What the format can't say of these boxes, as sentences without an end."""


def boxes_place(
    out: str | Path,
    to: BoxesTarget,
    *,
    inputs: tuple[str | Path | None, ...] = (),
    with_pictures: bool = False,
    overwrite: bool = False,
) -> Path:
    """The file or folder, if boxes may be written there; COCO and CSV can be one file, others are folders.

    Args:
        out: the file or folder.
        to: the format.
        inputs: the files and folders that are read.
        with_pictures: whether pictures are copied, too, for which a folder is needed.
        overwrite: whether a file that Regraft did not write may be replaced.

    Raises:
        SettingsError: the format needs another kind of place, or others have written there.
    """
    ending, suffix = _ENDINGS.get(to), Path(out).suffix.lower()
    shown = printable(str(out))
    if suffix in _FILE_ENDINGS and suffix != ending:
        accepted = f"a file that ends in {ending}, or a folder" if ending else "a folder"
        raise SettingsError(
            f"{shown} ends in {suffix}, but the format {to} is written to {accepted}. Name one with --out, "
            "or choose another format with --to"
        )
    if ending is None or suffix != ending or Path(out).is_dir():
        return new_folder(out, f"the format {to}", inputs=inputs)
    if with_pictures:
        raise SettingsError(
            f"{shown} is a file, but with --pictures a folder is written. Name a folder with --out, for "
            f"example {printable(str(Path(out).with_suffix('')))}"
        )
    return output_file(out, _FILES[to], inputs=inputs, overwrite=overwrite)


def write_boxes(
    marked: MarkedSet,
    place: Path,
    *,
    to: BoxesTarget,
    copied_from: Path | None = None,
    has_scores: bool = False,
    reporter: Reporter | None = None,
) -> WrittenBoxes:
    """Write boxes so that `read_boxes` gives the same boxes again; the place is whole or absent.

    Args:
        marked: found or annotated boxes.
        place: the file or folder, as `boxes_place` gave it.
        to: the format.
        copied_from: the folder of the pictures, if these are copied, too.
        has_scores: whether YOLO rows have the score as their sixth number.
        reporter: receives progress.

    Raises:
        DataError: the format can't say which picture boxes belong to.
        StorageError: the place can't be written to, or a picture can't be copied.
    """
    reporter = reporter or Silent()
    remarks = _remarks(marked, to, is_file=_is_file(place, to))
    if _is_file(place, to):
        stream_atomically(place, _chunks(marked.pictures, marked.labels, to, is_found=marked.is_found))
        return WrittenBoxes(place, 1, 0, remarks)
    folder = "" if copied_from is None else VOC_IMAGES if to == "voc" else "images/"
    named = _below(marked, folder)
    with whole_folder(place) as temporary:
        files = _write_files(_files_of(named, to, has_scores), temporary)
        if copied_from is not None:
            with reporter.phase("copying pictures", len(marked.pictures)) as meter:
                for old, new in zip(marked.pictures, named.pictures, strict=True):
                    make_folder((temporary / new.path).parent)
                    shutil.copyfile(copied_from / old.path, temporary / new.path)
                    meter.advance()
    return WrittenBoxes(place, files, len(marked.pictures) if copied_from else 0, remarks)


def write_found(
    pictures: Collection[MarkedPicture], labels: Sequence[str], place: Path, *, to: BoxesTarget
) -> None:
    """Write found boxes of any number of pictures, which are gone through and never held together.

    Args:
        pictures: the pictures, which are gone through several times.
        labels: all classes in their order.
        place: the file or folder, as `boxes_place` gave it, which is whole or absent.
        to: the format.

    Raises:
        DataError: the format can't say which picture boxes belong to.
        StorageError: the place can't be written to.
    """
    if _is_file(place, to):
        stream_atomically(place, _chunks(pictures, labels, to, is_found=True))
        return
    with whole_folder(place) as folder:
        if to in ("yolo", "voc"):
            _write_files(_labelled_files(pictures, labels, to), folder)
        else:
            name = "boxes.csv" if to == "csv" else _ALL
            with (folder / name).open("wb") as file:
                file.writelines(_chunks(pictures, labels, to, is_found=True))


def _is_file(place: Path, to: BoxesTarget) -> bool:
    return place.suffix.lower() == _ENDINGS.get(to) and not place.is_dir()


def _chunks(
    pictures: Collection[MarkedPicture], labels: Sequence[str], to: BoxesTarget, *, is_found: bool
) -> Iterator[bytes]:
    """The file of all pictures, COCO JSON or a table, in pieces."""
    if to == "coco":
        yield from coco_chunks(pictures, labels)
    elif is_found:
        yield from found_chunks(pictures)
    else:
        yield annotated_table(pictures)


def _write_files(files: Iterable[tuple[str, bytes]], folder: Path) -> int:
    """Write files by their names below a folder; returns how many they are."""
    count = 0
    for name, content in files:
        make_folder((folder / name).parent)
        (folder / name).write_bytes(content)
        count += 1
    return count


def _below(marked: MarkedSet, folder: str) -> MarkedSet:
    """The pictures where they are copied to: in a folder of their own, unless they are in one of its name."""
    if all(picture.path.startswith(folder) for picture in marked.pictures):
        return marked
    moved = tuple(replace(picture, path=folder + picture.path) for picture in marked.pictures)
    return replace(marked, pictures=moved)


def _files_of(marked: MarkedSet, to: BoxesTarget, has_scores: bool) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of a folder."""
    if to in ("yolo", "voc"):
        yield from _labelled_files(marked.pictures, marked.labels, to, has_scores=has_scores)
        return
    if to == "csv":
        yield "boxes.csv", b"".join(_chunks(marked.pictures, marked.labels, to, is_found=marked.is_found))
        return
    by_name = {_ALL: list(marked.pictures)}
    if marked.has_sides:
        named = {side: f"instances_{name}.json" for side, name in LISTS.items()}
        by_name = {name: [] for name in named.values()}
        for picture in marked.pictures:
            name = named[picture.side] if picture.side else "instances_other.json"
            by_name.setdefault(name, []).append(picture)
    for name, pictures in by_name.items():
        if pictures:
            yield name, b"".join(coco_chunks(pictures, marked.labels))


def _labelled_files(
    pictures: Collection[MarkedPicture], labels: Sequence[str], to: BoxesTarget, *, has_scores: bool = False
) -> Iterator[tuple[str, bytes]]:
    """The files of a format with a file for each picture."""
    if to == "yolo":
        yield from yolo_files(pictures, labels, has_scores=has_scores)
    else:
        yield from voc_files(pictures)


def _remarks(marked: MarkedSet, to: BoxesTarget, *, is_file: bool) -> tuple[str, ...]:
    """What gets lost."""
    boxes = [mark.box for picture in marked.pictures for mark in picture.boxes]
    crowds = sum(box.is_crowd for box in boxes)
    difficult = sum(box.is_difficult for box in boxes)
    remarks = []
    if crowds and to != "coco":
        remarks.append(f"that {_boxes(crowds)} a group of objects is lost: only COCO JSON can say it")
    if difficult and to != "voc":
        remarks.append(f"that {_boxes(difficult)} hard to see is lost: only Pascal VOC XML can say it")
    if to == "coco" and is_file and any(side_by_folder(one.path) != one.side for one in marked.pictures):
        remarks.append(
            "the sides of the split are lost: one COCO file can't say them. Name a folder with --out, and a "
            "file is written for each side"
        )
    return tuple(remarks)


def _boxes(count: int) -> str:
    return "1 box is" if count == 1 else f"{count:,} boxes are"
