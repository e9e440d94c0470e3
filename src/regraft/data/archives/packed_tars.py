"""Compressed tar files: unpacked once into the cache, as one plain tar file.

The bytes in the middle of a gzip stream need all bytes before them, so reading N members in any order would
unpack N halves of the archive. Photographs hardly compress, so the plain file is about as large.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from regraft.errors import DataError, DiskFullError
from regraft.storage.files import key_of, make_folder, whole_folder
from regraft.storage.places import cache_folder, free_bytes

_CHUNK = 1 << 20
_MOST_TIMES = 200
_SMALL_BYTES = 1_000_000_000
_PLAIN = "plain.tar"


def unpacked_tar(path: Path) -> Path:
    """The plain tar file in the cache that a `.tar.gz` file is, made if it is not there.

    Raises:
        DataError: the file is damaged, or unpacks to far more than it is.
        DiskFullError: the disk of the cache is too small.
    """
    from filelock import FileLock

    status = path.stat()
    facts = [os.path.realpath(path), status.st_size, status.st_mtime_ns]
    place = make_folder(cache_folder() / "archives") / key_of(facts)[:24]
    with FileLock(place.with_name(f".{place.name}.lock")):
        if not (place / _PLAIN).is_file():
            with whole_folder(place) as folder, (folder / _PLAIN).open("wb") as out:
                _unpack(path, status.st_size, out)
    os.utime(place / _PLAIN)  # what is used last is pruned last
    return place / _PLAIN


def _unpack(path: Path, size: int, out: BinaryIO) -> None:
    most, done = _SMALL_BYTES + _MOST_TIMES * size, 0
    free = free_bytes()
    try:
        with gzip.open(path) as packed:
            while chunk := packed.read(_CHUNK):
                done += len(chunk)
                if done > most:
                    raise DataError(
                        f"{size / 1e6:,.1f} MB that unpack to more than {most / 1e6:,.0f} MB, as in archives "
                        "made to fill a disk. If it is honest, unpack it and give the folder"
                    )
                if done > free:
                    raise DiskFullError(
                        f"{path} does not fit unpacked into the cache ({free / 1e6:,.0f} MB are free). Free "
                        "some space, or choose another disk with $REGRAFT_CACHE"
                    )
                out.write(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"damaged: {error}. Download or copy it again") from error
