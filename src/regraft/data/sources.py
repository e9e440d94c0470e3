"""Finding the images and their labels in folders, split folders or a table. Nothing is decoded here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regraft.errors import DataError, NoImagesError, close_names
from regraft.records import Finding, Side, SkippedFile
from regraft.storage import printable

_SIDES: dict[str, Side] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_MAX_DEPTH = 64
_NOT_IMAGES = frozenset(
    {
        ".txt",
        ".md",
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".xml",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".cfg",
        ".html",
        ".htm",
        ".pdf",
        ".py",
        ".db",
        ".log",
        ".parquet",
        ".zip",
        ".tar",
        ".gz",
        ".npy",
        ".npz",
        ".mat",
        ".doc",
        ".docx",
        ".xls",
        ".xlsx",
        ".license",
        ".licence",
    }
)
_LAYOUTS = (
    "Accepted are a folder per class (ROOT/cat/1.jpg), the same below ROOT/train, ROOT/val and ROOT/test, "
    "or a CSV or Parquet table with the columns path and label"
)


@dataclass(frozen=True)
class Candidate:
    """A file that may be an image, with the label, side and group that its location or table row gives."""

    path: str
    """Path relative to the root, with forward slashes; undecodable bytes are surrogates (PEP 383)."""
    file: Path
    label: str
    side: Side | None = None
    group: str | None = None


@dataclass(frozen=True)
class Found:
    """The contents of a source, before any file is opened."""

    root: Path
    candidates: tuple[Candidate, ...]
    skipped: tuple[SkippedFile, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class TableColumns:
    """Names of the table columns to read."""

    path: str = "path"
    label: str = "label"
    split: str = "split"
    group: str = "group"


@dataclass
class _Walk:
    """A walk over a folder, which remembers the folders it has seen, so that loops of links end."""

    seen: set[tuple[int, int]] = field(default_factory=set)
    skipped: list[SkippedFile] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def files(self, folder: Path, depth: int = 0) -> Iterator[Path]:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in self.seen or depth > _MAX_DEPTH:
            return
        self.seen.add((status.st_dev, status.st_ino))
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self.skipped.append(SkippedFile(str(folder), f"folder can't be read: {error.strerror}"))
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                yield from self.files(Path(entry.path), depth + 1)
            elif Path(entry.name).suffix.lower() in _NOT_IMAGES:
                self.ignored.append(entry.path)
            else:
                yield Path(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links is not a folder; the loader reports why it is not a file either
        return False


def find_images(
    source: str | Path, *, root: str | Path | None = None, columns: TableColumns | None = None
) -> Found:
    """Find the candidates in a folder or table.

    Args:
        source: a folder, or a `.csv`, `.tsv` or `.parquet` file.
        root: the folder that the paths in a table are relative to; None means the table's own folder.
        columns: the table's column names.

    Raises:
        NoImagesError: there is no file that could be an image with a label.
        DataError: the table can't be read or lacks a column.
    """
    source = Path(source)
    if source.suffix.lower() in (".csv", ".tsv", ".parquet"):
        found = _from_table(source, Path(root) if root else source.parent, columns or TableColumns())
    elif source.is_dir():
        found = _from_folder(source)
    else:
        state = "is not a folder or table" if source.exists() else "does not exist"
        raise NoImagesError(f"{printable(str(source))} {state}. {_LAYOUTS}")
    if not found.candidates:
        raise NoImagesError(f"{printable(str(source))} contains no images with labels. {_LAYOUTS}")
    return found


def _from_folder(root: Path) -> Found:
    walk = _Walk()
    folders = _subfolders(root)
    is_split = bool(folders) and all(folder.name.lower() in _SIDES for folder in folders)
    tops = folders if is_split else [root]
    has_several = len({_SIDES[folder.name.lower()] for folder in folders}) > 1 if is_split else False
    candidates: list[Candidate] = []
    for top in tops:
        side = _SIDES[top.name.lower()] if has_several else None
        for file in walk.files(top):
            parts = file.relative_to(top).parts
            name = file.relative_to(root).as_posix()
            if len(parts) < 2:
                walk.skipped.append(SkippedFile(name, "not in a class folder"))
            else:
                candidates.append(Candidate(name, file, printable(parts[0]), side))
    findings = _ignored(walk.ignored, root) + _empty_classes(tops, candidates)
    return Found(root, tuple(candidates), tuple(walk.skipped), findings)


def _subfolders(root: Path) -> list[Path]:
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"can't read the folder {printable(str(root))}: {error.strerror}") from error
    return [Path(entry.path) for entry in entries if _is_folder(entry) and entry.name[0] != "."]


def _ignored(paths: Sequence[str], root: Path) -> tuple[Finding, ...]:
    if not paths:
        return ()
    names = tuple(Path(path).relative_to(root).as_posix() for path in paths)
    return (Finding("ignored", f"{len(names)} files whose extensions are not those of images", names),)


def _empty_classes(tops: Sequence[Path], candidates: Sequence[Candidate]) -> tuple[Finding, ...]:
    used = {candidate.label for candidate in candidates}
    empty = {printable(folder.name) for top in tops for folder in _subfolders(top)} - used
    return tuple(Finding("empty-class", f"class folder {name} contains no images") for name in sorted(empty))


def _from_table(table: Path, root: Path, columns: TableColumns) -> Found:
    rows = _read_table(table)
    names = set(rows[0]) if rows else {columns.path, columns.label}
    for needed in (columns.path, columns.label):
        if needed not in names:
            raise DataError(
                f"{table} has no column {needed}{close_names(needed, names)}; "
                f"it has {', '.join(sorted(names))}. "
                "The columns path and label are needed; split and group are optional"
            )
    candidates: list[Candidate] = []
    skipped: list[SkippedFile] = []
    seen: set[str] = set()
    base = os.path.realpath(root)
    for number, row in enumerate(rows, start=2):
        path, label = row[columns.path], row[columns.label]
        reason = _row_problem(path, label, seen, base)
        if reason:
            skipped.append(SkippedFile(str(path), f"row {number}: {reason}"))
            continue
        seen.add(str(path))
        side = _side(row.get(columns.split), table, number)
        group = row.get(columns.group)
        name = str(path)
        group_name = None if group in (None, "") else str(group)
        candidates.append(Candidate(name, Path(base, name), printable(str(label)), side, group_name))
    if not any(candidate.side in ("test", "validation") for candidate in candidates):
        candidates = [Candidate(c.path, c.file, c.label, None, c.group) for c in candidates]
    return Found(Path(base), tuple(candidates), tuple(skipped))


def _row_problem(path: Any, label: Any, seen: set[str], base: str) -> str | None:
    if path in (None, ""):
        return "no path"
    if label in (None, ""):
        return "no label"
    if str(path) in seen:
        return "path listed twice"
    if not os.path.abspath(os.path.join(base, str(path))).startswith(os.path.join(base, "")):
        return f"path outside of {base} (choose another folder with --root)"
    return None


def _side(value: Any, table: Path, number: int) -> Side | None:
    if value in (None, ""):
        return None
    side = _SIDES.get(str(value).strip().lower())
    if side is None:
        raise DataError(f"{table}, row {number}: split {value!r} is not one of {', '.join(_SIDES)}")
    return side


def _read_table(path: Path) -> list[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix.lower() == ".parquet":
            table = pyarrow.parquet.read_table(path)
        else:
            delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
            header = pyarrow.csv.open_csv(
                path, parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter)
            ).schema.names
            table = pyarrow.csv.read_csv(
                path,
                parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                # labels such as 007 or NA are names, not numbers or missing values
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types={name: pa.string() for name in header}, strings_can_be_null=False
                ),
            )
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"can't read the table {path}: {error}") from error
    rows: list[Mapping[str, Any]] = table.to_pylist()
    return rows


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and its subfolders that may be images, ordered by name."""
    return _Walk().files(folder)
