"""Which arrays of a store were read to their ends and found whole, remembered for the next process.

The record (`.verified`) lies in the store's folder. It has the hash and the state of each array: size, times
and inode. An array in another state is read again; so are all if the record is missing or damaged, or was
written for files that were copied. It is replaced as a whole, and what several processes write at once can
be lost, so nothing depends on it but time.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from regraft.errors import StorageError
from regraft.storage.files import read_json, sha256_of_file, write_atomically

RECORD = ".verified"
SETTLED_NS = 2_000_000_000
"""Nanoseconds after which another change of a file gets another time, on any file system."""

_LARGEST_INODE = (1 << 63) - 1  # Windows numbers files with 128 bits


class FileState(NamedTuple):
    """The state of a file: it has not been written since if all of these are the same.

    The time of the last change of the entry (ctime) can't be set back by programs that restore the time of
    the last change of the content, as `rsync --times` and `touch --reference` do. Windows has none, and gives
    the time at which the file was made.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """The state in what `os.stat` says."""
        inode = status.st_ino & _LARGEST_INODE
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode)

    def is_settled(self) -> bool:
        """Whether a change after now would be seen.

        Clocks of file systems tick slowly (4 ms on Linux, 2 s on FAT), so a file can be written twice with
        the same times. What is read of a file that has just changed may therefore not be what it holds later.
        """
        return time.time_ns() - max(self.mtime_ns, self.ctime_ns) > SETTLED_NS


_Known = tuple[str, FileState]

_whole: set[tuple[str, _Known]] = set()
"""Files that this process has read to their ends: path, hash and state. It serves read-only caches."""


class Verified:
    """The arrays of one store that are known to be whole.

    Args:
        folder: the store's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, _Known] | None = None
        self._new: dict[str, _Known] = {}

    def is_whole(self, path: Path, sha256: str, *, is_read: bool = False) -> bool:
        """Whether an array has this hash; it is read unless it was read in the state that it has now.

        Args:
            path: the file, in the store's folder.
            sha256: its hash, as its manifest says.
            is_read: whether it is read in any case.

        Raises:
            OSError: it can't be read.
        """
        state = FileState.of(path.stat())
        found = (sha256, state)
        if not is_read and ((str(path), found) in _whole or self._recorded().get(path.name) == found):
            return True
        if sha256_of_file(path) != sha256:
            return False
        if state.is_settled():
            _whole.add((str(path), found))
            self._new[path.name] = found
        return True

    def save(self) -> None:
        """Write down what was found whole since; nothing is lost but time where that is not possible."""
        if not self._new:
            return
        merged = {**_read(self._folder), **self._new}
        kept = {name: one for name, one in merged.items() if (self._folder / name).exists()}
        record = {name: [sha256, *state] for name, (sha256, state) in sorted(kept.items())}
        with contextlib.suppress(StorageError):  # a read-only cache can be used too
            write_atomically(self._folder / RECORD, json.dumps(record, indent=0).encode(), is_durable=False)
        self._known, self._new = kept, {}

    def _recorded(self) -> dict[str, _Known]:
        if self._known is None:
            self._known = _read(self._folder)
        return self._known


def _read(folder: Path) -> dict[str, _Known]:
    """What earlier processes have found whole; nothing if the record is missing or damaged."""
    try:
        record = read_json(folder / RECORD)
        return {
            name: (str(sha256), FileState(int(size), int(mtime_ns), int(ctime_ns), int(inode)))
            for name, (sha256, size, mtime_ns, ctime_ns, inode) in record.items()
        }
    except (StorageError, AttributeError, TypeError, ValueError):
        return {}
