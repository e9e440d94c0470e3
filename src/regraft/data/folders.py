"""Images and labels from folders: a folder per class, also below train/, val/ and test/."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from regraft.data.candidates import SIDES, Candidate, Found
from regraft.errors import DataError
from regraft.records import Finding, SkippedFile
from regraft.storage import printable

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


def from_folder(root: Path) -> Found:
    """The candidates in a folder, with the class folders as labels."""
    walk = _Walk()
    folders = _subfolders(root)
    is_split = bool(folders) and all(folder.name.lower() in SIDES for folder in folders)
    tops = folders if is_split else [root]
    has_several = len({SIDES[folder.name.lower()] for folder in folders}) > 1 if is_split else False
    candidates: list[Candidate] = []
    for top in tops:
        side = SIDES[top.name.lower()] if has_several else None
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


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder and its subfolders that may be images, ordered by name."""
    return _Walk().files(folder)
