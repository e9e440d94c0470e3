"""The array of one shard, mapped into memory, and compared with its hash before its first row is used."""

from __future__ import annotations

import hashlib
import mmap
import os
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from regraft.storage.shards import Manifest
from regraft.storage.verified import Verified

Array = npt.NDArray[Any]
_LONGEST_HEADER = 4096
_USUAL_FILES = 1024


def most_open() -> int:
    """How many files a store may keep open: a quarter of those that this process may have open."""
    try:
        import resource
    except ImportError:  # Windows
        return _USUAL_FILES // 4
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (_USUAL_FILES if limit == resource.RLIM_INFINITY else limit) // 4


class MappedShard:
    """The rows of one shard on disk.

    Args:
        manifest: what the shard holds.
        width: number of values in a row.
        dtype: type of a row's values.
        verified: what is known to be whole.
        is_kept: whether the file stays open. Then its rows can be read even after it was deleted; but a
            process may have only about a thousand files open.

    Raises:
        ValueError: the file has not the size of these rows.
        OSError: it can't be opened.
    """

    def __init__(
        self, manifest: Manifest, width: int, dtype: np.dtype[Any], verified: Verified, *, is_kept: bool
    ) -> None:
        if manifest.array is None:
            raise ValueError(f"{manifest.path} names no array")
        self.manifest, self.path = manifest, manifest.array
        self.verified, self._shape, self._dtype = verified, (len(manifest.keys), width), dtype
        self._start = self.path.stat().st_size - len(manifest.keys) * width * dtype.itemsize
        if not 0 < self._start < _LONGEST_HEADER:
            raise ValueError(f"{self.path} has not the size of {len(manifest.keys)} rows")
        self._is_whole, self._inode = False, 0
        self._kept = self._map() if is_kept else None

    def rows(self) -> Array:
        """The rows, as a mapping from which nothing is read yet.

        Raises:
            OSError: the file was not kept open, and is not there any more.
        """
        return self._map() if self._kept is None else self._kept

    def _map(self) -> Array:
        with self.path.open("rb") as file:
            self._inode = os.fstat(file.fileno()).st_ino
            return np.memmap(file, self._dtype, "r", offset=self._start, shape=self._shape)

    def is_whole(self) -> bool:
        """Whether the file is the one that the manifest was written for.

        One that is kept open is read at most once; after it was deleted, through its mapping. Of others it is
        looked each time whether they are still in the state in which they were read.
        """
        if self._kept is not None and self._is_whole:
            return True
        try:
            is_right = self.verified.is_whole(self.path, self.manifest.sha256)
            self._is_whole = is_right and (self._is_whole or self._has_header())
            if self._kept is not None and self.path.stat().st_ino != self._inode:
                self._kept = self._map()  # another process has written the file again meanwhile
        except FileNotFoundError:
            self._is_whole = self._kept is not None and self._is_mapping_whole()
        except (OSError, ValueError):
            self._is_whole = False
        return self._is_whole

    def _has_header(self) -> bool:
        with self.path.open("rb") as file:
            return _header(file) == (self._shape, False, self._dtype)

    def _is_mapping_whole(self) -> bool:
        mapping = getattr(self._kept, "_mmap", None)
        return mapping is not None and hashlib.sha256(mapping).hexdigest() == self.manifest.sha256


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of the array in a `.npy` file."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"version {version} of the .npy format; Regraft writes version 1.0")
    return np.lib.format.read_array_header_1_0(file)


def release(array: Array) -> None:
    """Release the memory pages of a mapping; without this, reads would end up mapping the whole store."""
    mapping = getattr(array, "_mmap", None)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
