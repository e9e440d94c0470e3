"""The indexes of large archives, kept in the cache: that of a million members of a tar file takes minutes.

An index is found by the archive's place and state (size, times and inode), so that of an archive that has
changed is never used. Of few members it is not kept, as it is read in no time.
"""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft.data.archives.members import Contents, Member
from regraft.errors import StorageError
from regraft.records import SkippedFile
from regraft.storage.files import key_of, mark_used, remove_old, write_atomically
from regraft.storage.places import cache_folder
from regraft.storage.verified import FileState

_VERSION = 1
_FEW = 2_000
_KEPT_S = 30 * 86_400.0
_ABSENT = -1  # for numbers that an archive does not state


def kept_index(path: Path, state: FileState, read: Callable[[], Contents]) -> Contents:
    """What an archive holds, from the cache if it was read before in the same state.

    Args:
        path: the archive.
        state: its state, before it was opened.
        read: reads its index.

    Raises:
        DataError: the archive can't be read.
    """
    kept = (
        cache_folder()
        / "scan"
        / "archives"
        / f"{key_of([_VERSION, os.path.realpath(path), *state])[:24]}.npz"
    )
    found = _from_file(kept)
    if found is not None:
        mark_used(kept)
        return found
    found = read()
    if len(found.members) > _FEW and state.is_settled():
        remove_old(kept.parent.glob("*.npz"), _KEPT_S)
        with contextlib.suppress(StorageError):  # a read-only cache can be used too
            write_atomically(kept, _as_bytes(found), is_durable=False)
    return found


def _as_bytes(contents: Contents) -> bytes:
    numbers = [
        (
            one.start,
            one.size,
            _ABSENT if one.packed is None else one.packed,
            _ABSENT if one.checksum is None else one.checksum,
        )
        for one in contents.members.values()
    ]
    buffer = io.BytesIO()
    np.savez(
        buffer,
        names=_joined(list(contents.members)),
        numbers=np.array(numbers, dtype=np.int64).reshape(-1, 4),
        refused=_joined([text for file in contents.refused for text in (file.path, file.reason)]),
    )
    return buffer.getvalue()


def _from_file(kept: Path) -> Contents | None:
    """The index in a file; None if it is missing or damaged, which the checksums of zip files tell."""
    try:
        with kept.open("rb") as file, np.load(file, allow_pickle=False) as table:
            names, refused = _divided(table["names"]), _divided(table["refused"])
            numbers = table["numbers"].tolist()
        members = {
            name: Member(start, size, None if packed < 0 else packed, None if checksum < 0 else checksum)
            for name, (start, size, packed, checksum) in zip(names, numbers, strict=True)
        }
        skipped = zip(refused[::2], refused[1::2], strict=True)
        return Contents(members, tuple(SkippedFile(path, reason) for path, reason in skipped))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _joined(texts: list[str]) -> npt.NDArray[np.uint8]:
    """Texts without zero bytes as one array."""
    return np.frombuffer("".join(f"{text}\0" for text in texts).encode("utf-8", "surrogateescape"), np.uint8)


def _divided(joined: npt.NDArray[np.uint8]) -> list[str]:
    return joined.tobytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
