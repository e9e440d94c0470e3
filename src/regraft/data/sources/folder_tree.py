"""The folders and files below a folder, by their names: what may be a picture, and what was set aside.

A walk opens no pictures. It looks into a few files with fixed names, to recognise what Regraft has written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter, itemgetter
from pathlib import Path

from regraft.data.pictures.file_kinds import PDF, foreign_by_name
from regraft.data.pictures.side_files import side_file
from regraft.data.sources.own_outputs import own_output, own_places
from regraft.errors import DataError
from regraft.records import SkippedFile
from regraft.storage.tables import printable

_MAX_DEPTH = 64
_SYSTEM = frozenset(
    {
        "__macosx",
        "@eadir",
        "lost+found",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "__pycache__",
        "#recycle",
        "@recycle",
        "#snapshot",
        "@recently-snapshot",
        "found.000",
        "node_modules",
        "site-packages",
    }
)
"""Folders of operating systems, network storage and tools, in lower case."""


@dataclass
class Folder:
    """A folder with the files in it that may be pictures, and its subfolders."""

    path: Path
    files: list[str] = field(default_factory=list)
    """Their paths, as text: a million `Path`s would take 0.4 GB, and half of the time of a walk."""
    folders: list[Folder] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @cached_property
    def count(self) -> int:
        """Number of files in the folder and all folders below it."""
        return len(self.files) + sum(folder.count for folder in self.folders)

    @cached_property
    def filled(self) -> list[Folder]:
        """The subfolders that hold files, at any depth."""
        return [folder for folder in self.folders if folder.count]

    def all_files(self) -> Iterator[str]:
        """The files of the folder and of all folders below it, ordered by name as a walk meets them."""
        if not self.folders:
            yield from self.files
            return
        entries: list[tuple[str, str | Folder]] = [(os.path.basename(file), file) for file in self.files]
        entries += [(folder.name, folder) for folder in self.folders]
        for _, entry in sorted(entries, key=itemgetter(0)):
            if isinstance(entry, Folder):
                yield from entry.all_files()
            else:
                yield entry


@dataclass
class Walk:
    """A walk over folders, which remembers those that it has seen, so that loops of links end."""

    seen: set[tuple[int, int]] = field(default_factory=set)
    own: frozenset[tuple[int, int]] = field(default_factory=own_places)
    skipped: list[SkippedFile] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)
    """Files that are no pictures by their name, and the kind of each."""
    set_aside: list[tuple[Path, str]] = field(default_factory=list)
    """Folders that are no data, and the reason for each."""

    def folder(self, path: Path, depth: int = 0) -> Folder:
        """The contents of a folder.

        Raises:
            DataError: the first folder can't be read.
        """
        folder = Folder(path)
        try:
            status = path.stat()
            if (status.st_dev, status.st_ino) in self.seen or depth > _MAX_DEPTH:
                self.set_aside.append((path, "link to a folder that is already part of the data"))
                return folder
            self.seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(path), key=attrgetter("name"))
        except OSError as error:
            if not depth:
                raise DataError(f"can't read the folder {printable(str(path))}: {error.strerror}") from error
            self.skipped.append(SkippedFile(str(path), f"folder can't be read: {error.strerror}"))
            return folder
        reason = self._reason(path, status, entries) if depth else None
        if reason:
            self.set_aside.append((path, reason))
            return folder
        start, below = start_of(path), []
        for entry in entries:
            name = entry.name
            if _is_folder(entry):
                below.append(entry)
            else:
                self.add_file(folder, start + name, name)
        inside = len(self.set_aside)
        # Links last: where a link and its target are both below the root, the images belong to the target.
        for entry in sorted(below, key=lambda entry: entry.is_symlink()):
            self._add_folder(folder, entry, depth)
        folder.folders.sort(key=lambda one: one.name)
        self._join_outputs(folder, inside, depth)
        return folder

    def _reason(self, path: Path, status: os.stat_result, entries: list[os.DirEntry[str]]) -> str | None:
        """Why a folder is no data; None if it may be."""
        if (status.st_dev, status.st_ino) in self.own:
            return "cache of regraft"
        names = {entry.name for entry in entries}
        return "Python environment" if "pyvenv.cfg" in names else own_output(path, names)

    def _add_folder(self, folder: Folder, entry: os.DirEntry[str], depth: int) -> None:
        reason = no_data(entry.name)
        if reason is not None:
            self.set_aside.append((Path(entry.path), reason))
        else:
            before = len(self.set_aside)
            below = self.folder(Path(entry.path), depth + 1)
            if not any(path == below.path for path, _ in self.set_aside[before:]):
                folder.folders.append(below)

    def add_file(self, folder: Folder, path: str, name: str) -> None:
        """Add a file to a folder, unless its name is not that of a picture."""
        kind = side_file(name)
        if kind is not None and (name.startswith(".") or foreign_by_name(name) is None):
            self.ignored.append((path, kind))
        else:
            folder.files.append(path)

    def _join_outputs(self, folder: Folder, inside: int, depth: int) -> None:
        """Set a folder aside as a whole if it holds outputs alone, or is `runs`, the place for them."""
        found = self.set_aside[inside:]
        outputs = [reason for _, reason in found if reason.endswith("regraft")]
        if depth and outputs and (folder.name == "runs" or not folder.count):
            folder.folders.clear()
            self.set_aside[inside:] = [(folder.path, outputs[0])]


def no_data(name: str) -> str | None:
    """Why a folder is no data, going by its name; None if it may be.

    >>> no_data(".git"), no_data("__MACOSX"), no_data("cat")
    ('hidden folder', 'folder of the system', None)
    """
    if name.startswith("."):
        return "hidden folder"
    return "folder of the system" if name.lower() in _SYSTEM else None


def start_of(folder: Path) -> str:
    """What the paths of the files in a folder begin with; what follows is the path relative to the folder.

    >>> start_of(Path("data")).replace(os.sep, "/"), start_of(Path("."))
    ('data/', '')
    """
    return "" if folder == Path() else os.path.join(folder, "")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links is not a folder; the loader reports why it is not a file either
        return False


def is_document(path: str) -> bool:
    """Whether a file next to the class folders is a document about the data rather than a picture."""
    return foreign_by_name(path) is PDF
