"""What the annotation files of a data set say, by the picture that each entry is about."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from regraft.detection.annotations.noticed import Noticed
from regraft.detection.annotations.picture_index import PictureIndex
from regraft.detection.annotations.placing import unit_of_file
from regraft.detection.annotations.recognition import FOR_MANY, Listing, classes_for, sheets_in
from regraft.detection.sources.sheets import Sheet
from regraft.errors import DataError
from regraft.records import SkippedFile
from regraft.storage.tables import printable

_MAX_ALL_MARKS = 5_000_000


@dataclass(frozen=True)
class Entry:
    """A sheet whose picture was found."""

    sheet: Sheet
    file: str
    is_for_many: bool


@dataclass
class Notes:
    """What is collected on the way."""

    root: Path
    noticed: Noticed = field(default_factory=Noticed)
    skipped: list[SkippedFile] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    """Pictures whose annotation file can't be used: whether they have boxes is not known."""
    is_incomplete: bool = False
    """Whether a file for many pictures can't be used, so that any picture may be unknown."""


def collected(listing: Listing, kind: str, index: PictureIndex, job: Notes) -> dict[str, list[Entry]]:
    """What the annotation files say, by the path of the picture."""
    entries: dict[str, list[Entry]] = defaultdict(list)
    remarks: dict[str, list[str]] = defaultdict(list)
    total = 0
    classes: dict[Path, tuple[str, ...] | None] = {}
    for file in listing.annotations[kind]:
        name = listing.name_of(file)
        try:
            known = _classes(file, listing, classes, job) if kind == "yolo" else None
            sheets = sheets_in(file, name, kind, known)
            count = sum(len(sheet.marks) for sheet in sheets)
            if total + count > _MAX_ALL_MARKS:
                raise DataError(f"more than {_MAX_ALL_MARKS:,} boxes in all; this file is not read")
        except (DataError, RecursionError, MemoryError) as error:
            job.skipped.append(SkippedFile(name, printable(f"annotations: {error or 'too large'}")))
            _remember(name, kind, index, job)
            continue
        total += count
        unit = unit_of_file(sheets) if any(sheet.unit is None for sheet in sheets) else None
        for sheet in sheets:
            _attach(replace(sheet, unit=sheet.unit or unit), name, kind, index, entries, job)
            for remark in sheet.remarks:
                remarks[remark].append(name)
    for remark, names in remarks.items():
        job.noticed.add("note", remark, *names)
    return dict(entries)


def _remember(name: str, kind: str, index: PictureIndex, job: Notes) -> None:
    """Keep in mind that the picture of a refused file, or any picture, is no background."""
    path = index.find([PurePosixPath(name).stem], near=name)
    if kind in FOR_MANY:
        job.is_incomplete = True
    elif path is not None:
        job.unknown.add(path)


def _attach(
    sheet: Sheet, name: str, kind: str, index: PictureIndex, entries: dict[str, list[Entry]], job: Notes
) -> None:
    """Give a sheet to its picture, or say that there is none."""
    path = index.find(sheet.names, near=name)
    for where, reason in sheet.refused:
        job.noticed.add("unreadable-box", f"{where}: {reason}; left out", *([path] if path else []), name)
    if path is None:
        count = len(sheet.marks)
        text = f"{index.reason(sheet.names)}; its {count:,} box{'' if count == 1 else 'es'} can't be used"
        job.noticed.add("no-picture", text, name)
        return
    entries[path].append(Entry(sheet, name, kind in FOR_MANY))


def _classes(
    file: Path, listing: Listing, known: dict[Path, tuple[str, ...] | None], job: Notes
) -> tuple[str, ...] | None:
    if file.parent not in known:
        try:
            found = classes_for(file, listing.name_files)
        except DataError as error:
            job.noticed.add("note", f"a file with names of classes {error}")
            found = None
        known[file.parent] = found[1] if found else None
    return known[file.parent]
