"""The members of an archive: which are files that may be read, and why the others are refused.

Nothing is ever unpacked to the name that a member states, so a hostile name can't overwrite a file. It is
refused all the same, with its reason, because no honest archive has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from regraft.errors import DataError, ImageError
from regraft.records import SkippedFile

MOST_MEMBERS = 1_000_000
"""An index takes about half a kilobyte a member, and a tar file about 0.1 ms a member to read.

There may be as many folders: a name can have many, too."""
MAX_DEPTH = 64
_LONGEST_NAME = 4096
_LONGEST_SHOWN = 200
_DRIVE = re.compile(r"[A-Za-z]:([\\/]|$)|[\\/]")
_NOISE = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    start: int
    """Where it begins: the place of its first byte in a tar file, of the header before it in a zip file, the
    row in a Parquet file."""
    size: int
    """The number of its bytes; -1 in a Parquet file, which does not state it."""
    packed: int | None = None
    """The number of bytes that it takes in the archive; None if it is not compressed."""
    checksum: int | None = None
    """CRC-32 of its bytes, if the archive states it."""
    column: str = ""
    """The column of a Parquet file."""


@dataclass(frozen=True)
class Contents:
    """What an archive holds."""

    members: dict[str, Member]
    """The files by their names, with forward slashes and without empty parts."""
    refused: tuple[SkippedFile, ...] = ()
    """Members that are not read, and why."""


def collected(entries: Iterable[tuple[str, Member | str]]) -> Contents:
    """The members by name; those with a name that is no name of a file are refused.

    Notes of operating systems (`__MACOSX`, `.DS_Store`, `Thumbs.db`, `desktop.ini`) are left out.

    Args:
        entries: the name of each file, with the member, or the reason why it is refused.

    Raises:
        DataError: there are more than a million, or they are in more than a million folders.
    """
    members: dict[str, Member] = {}
    refused: list[SkippedFile] = []
    twice: set[str] = set()
    folders: set[str] = set()
    for count, (name, found) in enumerate(entries):
        if count >= MOST_MEMBERS:
            raise DataError(
                f"more than {MOST_MEMBERS:,} members; divide it into several archives (shards), or unpack it"
            )
        if is_noise(name):
            continue
        try:
            plain = checked_name(name)
        except ImageError as error:
            refused.append(SkippedFile(name[:_LONGEST_SHOWN].replace("\0", "\\0"), str(error)))
            continue
        _add_folders(folders, plain)
        if isinstance(found, str):
            refused.append(SkippedFile(plain, found))
        elif plain in members:
            twice.add(plain)
        else:
            members[plain] = found
    for name in sorted(twice):  # which of them is meant, nobody knows
        del members[name]
        refused.append(SkippedFile(name, "several members of the archive have this name"))
    return Contents(members, tuple(refused))


def _add_folders(folders: set[str], name: str) -> None:
    """Add the folders of a member to those that are known.

    Raises:
        DataError: they are too many.
    """
    above = name.rpartition("/")[0]
    while above and above not in folders:
        folders.add(above)
        above = above.rpartition("/")[0]
    if len(folders) > MOST_MEMBERS:
        raise DataError(f"more than {MOST_MEMBERS:,} folders, as in archives made to fill the memory")


def is_noise(name: str) -> bool:
    """Whether a member is a note that an operating system left about others.

    >>> [is_noise(name) for name in ("__MACOSX/a/._1.jpg", "a/.DS_Store", "a/Thumbs.db", "a/1.jpg")]
    [True, True, True, False]
    """
    *folders, last = name.casefold().replace("\\", "/").split("/")
    return "__macosx" in folders or last in _NOISE or last.startswith("._")


def checked_name(name: str) -> str:
    """A member's name without empty parts.

    Raises:
        ImageError: a file of that name could lie outside of the folder into which the archive is unpacked.

    >>> checked_name("./photos//cat/1.jpg")
    'photos/cat/1.jpg'
    """
    if "\0" in name:
        raise ImageError("its name in the archive holds a zero byte")
    if len(name) > _LONGEST_NAME:
        raise ImageError(f"its name in the archive has {len(name):,} characters")
    if _DRIVE.match(name):
        raise ImageError("its name in the archive is absolute")
    if ".." in re.split(r"[\\/]", name):
        raise ImageError("its name in the archive leads out of it (..)")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts:
        raise ImageError("it has no name in the archive")
    if len(parts) > MAX_DEPTH:
        raise ImageError(f"it is {len(parts)} folders deep in the archive; at most {MAX_DEPTH} are read")
    return "/".join(parts)


class Bounded:
    """An open file for libraries that believe what headers say: it refuses to read what would harm them.

    Args:
        file: the open file.
        most: the number of bytes that may be read at once.
        check: looks at what was read, and raises a DataError if it is made to do harm.
    """

    def __init__(self, file: BinaryIO, most: int, check: Callable[[bytes], None] | None = None) -> None:
        self._file, self._most, self._check = file, most, check

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            DataError: more are asked for than the limit, and there are more; or they are refused.
        """
        data = self._file.read(self._most + 1 if size < 0 else min(size, self._most + 1))
        if len(data) > self._most:
            raise DataError(f"a header of more than {self._most / 1e6:g} MB")
        if self._check is not None:
            self._check(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to another place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The present place."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Whether any place can be reached: always."""
        return True
