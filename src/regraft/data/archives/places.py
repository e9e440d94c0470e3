"""Places that can be read: a path whose beginning is an archive, as in `photos.zip/cat/1.jpg`.

A member of an archive has a path like any file, so whatever keeps paths (tables, splits, runs, models) keeps
those of members. The loader's one function that reads files asks here where the system knows no such file.
"""

from __future__ import annotations

import os
import shlex
import stat
import threading
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from regraft.data.archives.kept_indexes import kept_index
from regraft.data.archives.members import Contents, Member
from regraft.data.archives.packed_tars import unpacked_tar
from regraft.data.archives.parquet_files import parquet_contents, read_cell
from regraft.data.archives.tar_files import read_tar_member, tar_contents
from regraft.data.archives.zip_files import read_zip_member, zip_contents
from regraft.errors import DataError, ImageError
from regraft.storage.tables import printable
from regraft.storage.verified import FileState

Kind = Literal["zip", "tar", "tar.gz", "parquet"]
_OTHER_ZIPS = (
    ".npz", ".xlsx", ".xlsm", ".docx", ".pptx", ".ods", ".odt", ".odp", ".jar", ".apk", ".whl", ".pt", ".pth",
    ".keras",
)  # fmt: skip
_UNREAD = (
    (b"7z\xbc\xaf\x27\x1c", "7-Zip archive", "7z x"),
    (b"Rar!\x1a\x07", "RAR archive", "unrar x"),
    (b"\xfd7zXZ\0", "file compressed by xz", "tar -xf"),
    (b"BZh", "file compressed by bzip2", "tar -xf"),
    (b"\x28\xb5\x2f\xfd", "file compressed by Zstandard", "tar -xf"),
    (b"\x1f\x8b", "file compressed by gzip, which is read if it is called .tar.gz", "tar -xf"),
    (b"PK\7\x08", "part of a divided zip archive", "7z x"),
)
_one_index = threading.Lock()  # so that threads that meet a new archive do not index it twice


@dataclass(frozen=True)
class Archive:
    """An archive whose members can be read."""

    path: Path
    kind: Kind
    file: Path
    """The file that is read: the archive, or what it was unpacked to in the cache."""
    contents: Contents

    @property
    def noun(self) -> str:
        """What it is, in words."""
        nouns = {"zip": "zip archive", "tar": "tar archive", "parquet": "Parquet file"}
        return nouns.get(self.kind, "compressed tar archive, unpacked into the cache")

    @cached_property
    def folders(self) -> dict[str, list[str]]:
        """The names in each folder of the archive; its own are under the empty name."""
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for name in self.contents.members:
            while name:
                above, _, last = name.rpartition("/")
                if last in found[above]:
                    break
                found[above][last] = None
                name = above
        return {folder: sorted(names) for folder, names in found.items()}

    def read(self, member: Member, most: int | None = None) -> bytes:
        """The bytes of a member, or the first `most` of them.

        Raises:
            ImageError: they can't be read; the message is the reason.
        """
        if self.kind == "parquet":
            data = read_cell(self.file, member)
            return data if most is None else data[:most]
        reader = read_zip_member if self.kind == "zip" else read_tar_member
        try:
            with self.file.open("rb") as file:
                return reader(file, member, most)
        except OSError as error:
            raise ImageError(f"can't be read from its archive: {error.strerror or error}") from error


@dataclass(frozen=True)
class Inside:
    """A file in an archive."""

    archive: Archive
    member: Member

    @property
    def size(self) -> int:
        """The number of its bytes, as the archive states it."""
        return self.member.size if self.member.size >= 0 else len(self.read())

    def read(self, most: int | None = None) -> bytes:
        """Its bytes, or the first `most` of them; see `Archive.read`."""
        return self.archive.read(self.member, most)


def archive_kind(path: str | Path) -> Kind | None:
    """What kind of archive a file is, by its first bytes; None for other files and for folders.

    Files that are zip archives inside, such as Excel workbooks and arrays of numpy, count as other files.
    """
    head = _head(path)
    name = os.fspath(path).lower()
    if head.startswith((b"PK\3\4", b"PK\5\6")) and not name.endswith(_OTHER_ZIPS):
        return "zip"
    if head[:2] == b"\x1f\x8b" and name.endswith((".tar.gz", ".tgz", ".tar")):
        return "tar.gz"
    if head[257:262] == b"ustar" or (name.endswith(".tar") and head):
        return "tar"
    return "parquet" if head.startswith(b"PAR1") else None


def holds_files(path: str | Path) -> bool:
    """Whether a file is an archive with files in it that can be read."""
    try:
        return archive_kind(path) is not None and bool(open_archive(path).contents.members)
    except DataError:
        return False


def unread_archive(path: str | Path) -> str | None:
    """What kind of archive a file is that can't be read in place, and the way out; None for other files."""
    head = _head(path)
    for start, noun, command in _UNREAD:
        if head.startswith(start):
            name = shlex.quote(printable(os.path.basename(path)))
            return f"a {noun}; unpack it, for example with `{command} {name}`, and give the folder"
    return None


def _head(path: str | Path) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(path, "rb") as file:
            return file.read(512)
    except (OSError, ValueError):
        return b""


def open_archive(path: str | Path) -> Archive:
    """The archive in a file; it is indexed once as long as the file is the same.

    Raises:
        DataError: the file is no archive, is damaged, or is made to do harm; says which and why.
    """
    found = _archive_at(os.path.abspath(path))
    if found is None:
        raise DataError(f"{printable(os.fspath(path))} is {unread_archive(path) or 'no archive'}")
    return found


def _archive_at(path: str) -> Archive | None:
    """The archive in a file; None if it is another file.

    Raises:
        DataError: it can't be opened, is damaged, or is made to do harm.
    """
    try:
        state = FileState.of(os.stat(path))
        with _one_index:
            found = _opened(path, state)
            if found is not None and found.kind == "tar.gz" and not found.file.exists():
                _opened.cache_clear()  # the unpacked file was removed from the cache meanwhile
                found = _opened(path, state)
            return found
    except OSError as error:
        raise DataError(f"can't open the archive {printable(path)}: {error.strerror or error}") from error


@lru_cache(maxsize=256)
def _opened(path: str, state: FileState) -> Archive | None:
    kind = archive_kind(path)
    if kind is None:
        return None
    try:
        file = unpacked_tar(Path(path)) if kind == "tar.gz" else Path(path)
        if kind == "parquet":
            return Archive(file, kind, file, parquet_contents(file))
        contents = kept_index(Path(path), state, lambda: _contents(file, kind))
    except DataError as error:
        raise DataError(f"the archive {printable(path)} is not read: {error}") from error
    return Archive(Path(path), kind, file, contents)


def _contents(file: Path, kind: Kind) -> Contents:
    with file.open("rb") as opened:
        index = zip_contents if kind == "zip" else tar_contents
        return index(opened, os.fstat(opened.fileno()).st_size)


def find_inside(path: str | Path) -> Inside | None:
    """The file in an archive that a path means; None for paths that lead into no archive.

    Raises:
        ImageError: the archive holds no such file, or can't be read; the message is the reason.
    """
    folder, name = os.path.split(os.path.abspath(path))
    try:
        outer, above = _archive_above(folder)
    except LookupError:
        return None
    inner = f"{above}/{name}" if above else name
    try:
        archive = _archive_at(outer)
    except DataError as error:
        raise ImageError(str(error)) from error
    if archive is None:
        return None
    if inner not in archive.contents.members:
        raise ImageError(f"the archive {printable(outer)} holds no such file")
    return Inside(archive, archive.contents.members[inner])


def file_state(path: str | Path) -> FileState | None:
    """The state of a regular file, or of the archive that a file is in; None if there is no such file."""
    try:
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            inside = find_inside(path)
            if inside is None:
                return None
            status = os.stat(inside.archive.path)
    except (OSError, ValueError, ImageError):
        return None
    return FileState.of(status) if stat.S_ISREG(status.st_mode) else None


def names_in(folder: str | Path) -> list[str]:
    """The names in a folder, in an archive, or in a folder of an archive; none in other places."""
    try:
        if os.path.isdir(folder):
            return sorted(os.listdir(folder))
        outer, inner = _divided(folder)
        archive = _archive_at(outer) if inner or os.path.isfile(outer) else None
        return archive.folders.get(inner, []) if archive is not None else []
    except (OSError, ValueError, DataError):
        return []


def is_inside(path: str | Path) -> bool:
    """Whether a path means a file in an archive that is there."""
    try:
        return find_inside(path) is not None
    except DataError:
        return False


@lru_cache(maxsize=1 << 16)
def _archive_above(folder: str) -> tuple[str, str]:
    """The file that the path of a folder leads into, and the rest of the path.

    As long as this is a file, the path can lead nowhere else; and whether it is still an archive is looked up
    each time.

    Args:
        folder: the absolute path.

    Raises:
        LookupError: it leads into no file, which is not remembered.
    """
    outer, inner = _divided(folder)
    if not os.path.isfile(outer):
        raise LookupError(folder)
    return outer, inner


def _divided(path: str | Path) -> tuple[str, str]:
    """What of a path is there, and the rest, which leads into it if that is a file; empty if it can't."""
    head, parts = os.path.abspath(path), []
    while not os.path.lexists(head):
        head, tail = os.path.split(head)
        if not tail:
            return head, ""
        parts.append(tail)
    return (head, "/".join(reversed(parts))) if os.path.isfile(head) else (head, "")
