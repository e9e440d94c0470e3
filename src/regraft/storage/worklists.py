"""A worklist: missing rows in a fixed cut into shards, so that several processes compute each of them once.

The process that comes first writes the list of what is missing, sorted. Later ones find it, take the shards
that nobody works on, and list only what is in no list and no shard. Without the list, each process would cut
what is missing at that moment, at other places. A list is removed when all its rows are computed; it saves
work, and no result depends on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from regraft.errors import StorageError
from regraft.storage.files import read_json, remove_old, write_json
from regraft.storage.shards import Known, shard_name

_ABANDONED_S = 7 * 86_400.0
_MOST_LOCKS = 32


@dataclass(frozen=True)
class Worklist:
    """An open list of missing keys."""

    path: Path
    keys: tuple[str, ...]
    shard_rows: int

    @property
    def shards(self) -> list[tuple[str, ...]]:
        """The keys of each shard; the last may be shorter."""
        starts = range(0, len(self.keys), self.shard_rows)
        return [self.keys[start : start + self.shard_rows] for start in starts]

    def write(self) -> None:
        """Write the list, for other processes to find."""
        write_json(self.path, {"shard_rows": self.shard_rows, "keys": list(self.keys)})

    def close(self, known: Known) -> None:
        """Remove the list if nothing of it is missing any more."""
        if all(key in known for key in self.keys):
            with contextlib.suppress(OSError):
                self.path.unlink()


@dataclass(frozen=True)
class Piece:
    """Rows that one process computes at a time, as one shard."""

    keys: tuple[str, ...]
    locks: tuple[str, ...]
    """The names of the shards that they belong to; usually one. Sorted, so that nobody waits in a circle."""


def open_worklists(folder: Path) -> list[Worklist]:
    """The open lists of a store; those that nobody has worked on for a week are removed."""
    remove_old(folder.glob("*.worklist"), _ABANDONED_S)
    found = []
    for path in sorted(folder.glob("*.worklist")):
        with contextlib.suppress(StorageError, KeyError, TypeError, ValueError):
            record = read_json(path)
            keys = tuple(str(key) for key in record["keys"])
            found.append(Worklist(path, keys, max(1, int(record["shard_rows"]))))
    return found


def new_worklist(folder: Path, keys: Iterable[str], shard_rows: int) -> Worklist:
    """A list of keys that are in no other list; it is named after them, and not written yet."""
    ordered = tuple(sorted(keys))
    return Worklist(folder / f"{shard_name(ordered)}.worklist", ordered, shard_rows)


def pieces_of(
    worklists: Iterable[Worklist], missing: Collection[str], known: Known, *, most_rows: int
) -> list[Piece]:
    """How one process computes its missing keys: in the shards of the lists, as far as it can.

    A shard that also has keys of images that this process does not have is left to others. What this process
    needs of several such shards is put together, so that it does not become as many small shards.

    Args:
        worklists: the open lists, which have all missing keys.
        missing: the keys to be computed.
        known: the keys that need not be computed.
        most_rows: number of rows of a shard that is put together.
    """
    whole: list[Piece] = []
    parts: list[Piece] = []
    seen: set[str] = set()
    for shard in (shard for worklist in worklists for shard in worklist.shards):
        open_keys = [key for key in shard if key not in known and key not in seen]
        own = tuple(key for key in open_keys if key in missing)
        seen.update(own)
        if own:
            (whole if len(own) == len(open_keys) else parts).append(Piece(own, (shard_name(shard),)))
    return whole + _joined(parts, most_rows)


def _joined(parts: Sequence[Piece], most_rows: int) -> list[Piece]:
    joined: list[Piece] = []
    for part in parts:
        last = joined[-1] if joined else None
        is_full = (
            last is None or len(last.keys) + len(part.keys) > most_rows or len(last.locks) >= _MOST_LOCKS
        )
        if last is None or is_full:
            joined.append(part)
        else:
            joined[-1] = Piece(last.keys + part.keys, tuple(sorted({*last.locks, *part.locks})))
    return joined
