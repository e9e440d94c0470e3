"""Which files of a data set hold boxes, and in which format: found from names and first bytes."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from regraft.data.pictures.loading import LoadLimits, read_file
from regraft.data.sources.folder_tree import Walk
from regraft.detection.sources.coco import read_coco
from regraft.detection.sources.create_ml import read_create_ml
from regraft.detection.sources.cvat import read_cvat
from regraft.detection.sources.documents import MAX_FILE_MB
from regraft.detection.sources.label_studio import read_label_studio
from regraft.detection.sources.labelme import read_labelme
from regraft.detection.sources.regions import read_regions
from regraft.detection.sources.sheets import Document, Sheet
from regraft.detection.sources.table import MAX_TABLE_MB, box_columns, read_table
from regraft.detection.sources.voc import read_voc
from regraft.detection.sources.yolo import NAME_FILES, class_names, is_yolo, read_yolo
from regraft.errors import DataError
from regraft.storage.tables import printable

FORMATS = {
    "voc": "Pascal VOC XML",
    "coco": "COCO JSON",
    "yolo": "YOLO text files",
    "csv": "a table of boxes",
    "labelme": "LabelMe JSON",
    "label-studio": "Label Studio JSON",
    "cvat": "CVAT XML",
    "create-ml": "Create ML JSON",
    "regions": "regions JSON",
}
"""What each format is called. Where a folder has the same number of files of two, the first is read."""
_READERS: dict[str, Callable[[Document], list[Sheet]]] = {
    "voc": read_voc,
    "coco": read_coco,
    "yolo": read_yolo,
    "labelme": read_labelme,
    "label-studio": read_label_studio,
    "cvat": read_cvat,
    "create-ml": read_create_ml,
    "regions": read_regions,
}
_SUFFIXES = {".xml": "xml", ".json": "json", ".txt": "txt", ".csv": "csv", ".tsv": "csv"}
FOR_MANY = ("coco", "label-studio", "cvat", "create-ml", "regions", "csv")
"""Formats with one file for many pictures."""
_END = 65_536
_REGIONS = re.compile(
    rb'\s*\{\s*("[^"]*"\s*:\s*\{\s*\}\s*,\s*)*"[^"]*"\s*:\s*\{\s*"[^"]*"\s*:\s*\[\s*(\[|\]|-?[\d.]|NaN)'
)


@dataclass(frozen=True)
class Listing:
    """The files of a data set by what they are for; nothing was read but the ends of some."""

    root: Path
    pictures: tuple[Path, ...]
    """Files that may be pictures."""
    annotations: dict[str, tuple[Path, ...]]
    """The files of each format that was recognised."""
    name_files: tuple[Path, ...] = ()
    """Files that may name YOLO's classes."""
    others: tuple[Path, ...] = ()
    """Text files that are none of these, among them lists of the pictures of a side."""
    annotation_root: Path | None = None
    """The folder of the annotation files where that is not the folder of the pictures."""

    def name_of(self, file: Path) -> str:
        """Path of an annotation file relative to its folder, with forward slashes."""
        for folder in (self.root, self.annotation_root):
            if folder is not None and file.is_relative_to(folder):
                return file.relative_to(folder).as_posix()
        return file.name

    def chosen(self, wanted: str | None = None) -> str | None:
        """The format to be read; None if there is none.

        Raises:
            DataError: no file is of the format that is wanted.
        """
        if wanted is not None:
            if not self.annotations.get(wanted):
                found = ", ".join(self.annotations) or "none"
                raise DataError(
                    f"{printable(str(self.root))} has no files of the format {wanted}; recognised: {found}"
                )
            return wanted
        # A file of a format for many pictures weighs more than one that describes a single picture, because
        # one of them is enough; among equals the order of FORMATS decides.
        ranked = sorted(FORMATS, key=lambda name: -self._weight(name))
        return ranked[0] if self.annotations.get(ranked[0]) else None

    def _weight(self, name: str) -> int:
        files = len(self.annotations.get(name, ()))
        return files * max(1, len(self.pictures) // 2) if name in FOR_MANY else files


def listed(source: Path, root: Path | None = None) -> Listing:
    """The files of a folder, or of the folder around one annotation file, which is then the only one.

    Args:
        source: a folder, or one annotation file.
        root: the folder of the pictures, if it is another one.

    Raises:
        DataError: a folder can't be read.
    """
    is_folder = source.is_dir()
    base = root or (source if is_folder else source.parent)
    walk = Walk()
    pictures = tuple(map(Path, walk.folder(base).all_files()))
    if is_folder and root is not None:
        walk = Walk()
        walk.folder(source)
    sides = sorted(Path(path) for path, _ in walk.ignored) if is_folder else [source]
    by_format: dict[str, list[Path]] = defaultdict(list)
    others = []
    stems = {name for path in pictures for name in (path.stem, path.name)}
    for path in sides:
        kind = _format_of(path, source if is_folder else source.parent, stems)
        if kind:
            by_format[kind].append(path)
        elif path.suffix.lower() == ".txt":
            others.append(path)
    names = tuple(path for path in (Path(one) for one, _ in walk.ignored) if _may_name_classes(path))
    kept = {name: tuple(by_format[name]) for name in FORMATS if by_format[name]}
    return Listing(base, pictures, kept, names, tuple(others), source if is_folder else None)


def has_boxes(source: Path, root: Path | None = None) -> str | None:
    """What a data set is called if it has boxes, as `Pascal VOC XML, 364 files`; None if it has none.

    Args:
        source: a folder, or one annotation file.
        root: the folder of the pictures, if it is another one.

    >>> from pathlib import Path
    >>> has_boxes(Path("nowhere")) is None
    True
    """
    if not source.is_dir():
        kind = _format_of(source, source.parent, {source.stem}) if source.is_file() else None
        return f"{FORMATS[kind]}, 1 file" if kind else None
    if not _may_have_boxes(source):
        return None
    try:
        listing = listed(source, root)
    except DataError:
        return None
    name = listing.chosen()
    if name is None:
        return None
    count = len(listing.annotations[name])
    return f"{FORMATS[name]}, {count:,} file{'' if count == 1 else 's'}"


def _may_have_boxes(folder: Path) -> bool:
    """Whether any file could hold boxes by its ending; far cheaper than a look at all files by name."""
    endings = tuple(_SUFFIXES)
    for parent, folders, names in os.walk(folder):
        if any(name.lower().endswith(endings) for name in names):
            return True
        if any(os.path.islink(os.path.join(parent, name)) for name in folders):
            return True
    return False


def sheets_in(path: Path, name: str, kind: str, classes: tuple[str, ...] | None) -> list[Sheet]:
    """What one annotation file says.

    Args:
        path: the file.
        name: its path relative to the data set's root.
        kind: its format, a key of `FORMATS`.
        classes: names of YOLO's classes, if a file has them.

    Raises:
        DataError: the file can't be used; the message is the reason.
    """
    if kind == "csv":
        read_file(path, LoadLimits(max_file_mb=MAX_TABLE_MB))
        return read_table(path)
    try:
        data = read_file(path, LoadLimits(max_file_mb=MAX_FILE_MB))
    except DataError as error:
        if kind != "yolo" or str(error) != "empty file":  # of YOLO, an empty file means a background
            raise
        data = b""
    return _READERS[kind](Document(name, data, classes))


def classes_for(path: Path, name_files: Sequence[Path]) -> tuple[Path, tuple[str, ...]] | None:
    """The file that names the classes of a YOLO file, the nearest one above it, and the names.

    Raises:
        DataError: that file can't be read.
    """
    ranked = sorted(name_files, key=lambda file: (-_shared(file.parent, path.parent), _rank(file)))
    for file in ranked:
        names = class_names(file.name, read_file(file, LoadLimits(max_file_mb=4)))
        if names:
            return file, names
    return None


def _shared(one: Path, other: Path) -> int:
    """The number of folders that two folders have in common."""
    return sum(1 for folder in (one, *one.parents) if folder == other or folder in other.parents)


def _rank(file: Path) -> int:
    return NAME_FILES.index(file.name.lower()) if file.name.lower() in NAME_FILES else len(NAME_FILES)


def _may_name_classes(path: Path) -> bool:
    return path.name.lower() in NAME_FILES or path.suffix.lower() in (".yaml", ".yml", ".names")


def _format_of(path: Path, source: Path, stems: Iterable[str]) -> str | None:
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None or path.name.startswith(".") or path.name.lower() in NAME_FILES:
        return None
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(_END)
            size = path.stat().st_size
            if size > _END:
                file.seek(max(_END, size - _END))
                head += file.read(_END)
    except OSError:
        return None
    if kind == "txt":
        # An empty file counts where it is named like a picture and others of the folder have boxes.
        return (
            "yolo" if path.stem in stems and (is_yolo(head) or _is_empty_label(path, source, head)) else None
        )
    if kind == "csv":
        return "csv" if _is_table(head) else None
    head = head.replace(b"\0", b"")  # UTF-16 becomes readable enough
    return _xml_format(head) if kind == "xml" else _json_format(head)


def _is_empty_label(path: Path, source: Path, head: bytes) -> bool:
    """Whether a file without text is in a folder of labels, or in a folder within one."""
    folders = (source.name, *path.relative_to(source).parts[:-1])
    return not head.strip() and any("label" in folder.lower() for folder in folders)


def _is_table(head: bytes) -> bool:
    text = head.replace(b"\0", b"").decode("utf-8", "replace").lstrip("\ufeff\ufffd \r\n")
    first = text.splitlines()[0] if text else ""
    cells = (re.split(separator, first) for separator in (",", ";", "\t", r"\|"))
    return any(box_columns([word.strip(' "') for word in words]) is not None for words in cells)


def _xml_format(head: bytes) -> str | None:
    if b"<annotations" in head and (b"<image" in head or b"<track" in head):
        return "cvat"
    is_voc = b"<annotation" in head and any(
        word in head for word in (b"<bndbox", b"<filename", b"<object", b"<size")
    )
    return "voc" if is_voc else None


def _json_format(head: bytes) -> str | None:
    def has(*words: str) -> bool:
        return all(f'"{word}"'.encode() in head for word in words)

    if has("shapes") and (has("imagePath") or has("points") or has("version")):
        return "labelme"
    if has("images") and (has("categories") or has("bbox") or has("category_id")):
        return "coco"
    if has("coordinates") and (has("annotations") or has("annotation")):
        return "create-ml"
    if has("rectanglelabels") or (has("annotations", "result") and has("data")):
        return "label-studio"
    return "regions" if _REGIONS.match(head) else None
