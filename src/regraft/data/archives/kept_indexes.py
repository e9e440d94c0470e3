"""The indexes of large archives, kept in the cache: that of a million members of a tar file takes minutes.

An index is found by the archive's place and state (size, times and inode), so that of an archive that has
changed is never used. Of few members it is not kept, as it is read in no time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.archives.members import Contents, Member
from regraft.records import SkippedFile
from regraft.storage.columns import divided, joined, remember, remembered
from regraft.storage.files import key_of, mark_used, remove_old
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
    key = key_of([_VERSION, os.path.realpath(path), *state])
    kept = cache_folder() / "scan" / "archives" / f"{key[:24]}.npz"
    found = _from_file(kept)
    if found is not None:
        mark_used(kept)
        return found
    found = read()
    if len(found.members) > _FEW and state.is_settled():
        remove_old(kept.parent.glob("*.npz"), _KEPT_S)
        remember(kept, _as_arrays(found))
    return found


def _as_arrays(contents: Contents) -> dict[str, npt.NDArray[Any]]:
    numbers = [
        (
            one.start,
            one.size,
            _ABSENT if one.packed is None else one.packed,
            _ABSENT if one.checksum is None else one.checksum,
        )
        for one in contents.members.values()
    ]
    refused = [text for file in contents.refused for text in (file.path, file.reason)]
    return {
        "names": joined(list(contents.members)),
        "numbers": np.array(numbers, dtype=np.int64).reshape(-1, 4),
        "refused": joined(refused),
    }


def _from_file(kept: Path) -> Contents | None:
    """The index in a file; None if it is missing or damaged."""
    found = remembered(kept, ("names", "numbers", "refused"))
    if found is None or found[1].shape[1:] != (4,):
        return None
    names, numbers, refused = divided(found[0]), found[1].tolist(), divided(found[2])
    try:
        members = {
            name: Member(start, size, None if packed < 0 else packed, None if checksum < 0 else checksum)
            for name, (start, size, packed, checksum) in zip(names, numbers, strict=True)
        }
        skipped = zip(refused[::2], refused[1::2], strict=True)
        return Contents(members, tuple(SkippedFile(path, reason) for path, reason in skipped))
    except ValueError:  # a text with a zero byte
        return None
