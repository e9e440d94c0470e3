"""The upkeep of the cache: what it holds, verified, pruned and tidied."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regraft.errors import StorageError
from regraft.storage.files import ORPHAN_S, read_json, remove_old
from regraft.storage.shards import manifest_paths, read_manifest, remove_shard
from regraft.storage.verified import Verified

TABLES = {
    "tables of known files": "scan/files",
    "indexes of archives": "scan/archives",
    "tables of look-alike pairs": "scan/pairs",
}
"""Parts of the cache that consist of files which are replaced as a whole, and their folders."""


@dataclass(frozen=True)
class TableUse:
    """The size and last use of the files of one part of the cache."""

    what: str
    folder: Path
    files: int
    size_bytes: int
    last_used: float


@dataclass(frozen=True)
class CacheUse:
    """The size and last use of one store."""

    folder: Path
    facts: Mapping[str, Any]
    rows: int
    size_bytes: int
    last_used: float


def verify_store(folder: Path) -> list[str]:
    """Remove the shards of a store whose bytes don't match their manifest, and return their names.

    All bytes are read, whatever earlier processes have found whole.
    """
    damaged, verified = [], Verified(folder)
    for path in manifest_paths(folder):
        try:
            manifest = read_manifest(path)
            array = manifest.array
            is_whole = array is None or verified.is_whole(array, manifest.sha256, is_read=True)
        except (StorageError, OSError):
            is_whole = False
        if not is_whole:
            damaged.append(f"{folder.name}/{path.stem}")
            remove_shard(path)
    verified.save()
    return damaged


def stores_below(root: Path) -> list[CacheUse]:
    """All stores of the cache, the most recently used first."""
    uses = []
    for record in root.glob("**/store.json"):
        folder = record.parent
        with contextlib.suppress(StorageError, OSError):
            uses.append(_measure(folder, read_json(record)))
    return sorted(uses, key=lambda use: use.last_used, reverse=True)


def tables_below(root: Path) -> list[TableUse]:
    """The parts in `TABLES` of which there are files."""
    found = []
    for what, name in TABLES.items():
        states = []
        for path in _table_files(root / name):
            with contextlib.suppress(OSError):
                states.append(path.stat())
        if states:
            size, last = sum(state.st_size for state in states), max(state.st_mtime for state in states)
            found.append(TableUse(what, root / name, len(states), size, last))
    return found


def _table_files(folder: Path) -> list[Path]:
    return list(folder.glob("[!.]*.npz"))


def _measure(folder: Path, facts: Mapping[str, Any]) -> CacheUse:
    rows, size, last = 0, 0, 0.0
    for path in folder.iterdir():
        status = path.stat()
        size += status.st_size
        last = max(last, status.st_mtime)
        if path.suffix == ".npy":
            rows += int(np.load(path, mmap_mode="r", allow_pickle=False).shape[0])
    return CacheUse(folder, facts, rows, size, last)


def prune(root: Path, max_bytes: float) -> int:
    """Delete what was used longest ago until `max_bytes` are left; returns the bytes freed.

    These are shards of rows, trainings, archives that were unpacked, and tables of files and of pairs.

    A process that has a shard open can go on reading it (POSIX); one that needs it later computes it again.
    """
    # The manifest is deleted first: without it the shard does not exist.
    units = [files for record in root.glob("**/store.json") for files in _shards(record.parent)]
    trainings = [sorted(folder.glob("*")) for folder in (root / "training").glob("[!.]*")]
    unpacked = [list(folder.glob("*.tar")) for folder in (root / "archives").glob("[!.]*")]
    tables = [[path] for name in TABLES.values() for path in _table_files(root / name)]
    units += [files for files in (*trainings, *unpacked, *tables) if files]
    sized = []
    for files in units:
        with contextlib.suppress(OSError):
            states = [path.stat() for path in files]
            sized.append((states[0].st_mtime, sum(state.st_size for state in states), files))
    total = sum(size for _, size, _ in sized)
    freed = 0
    for _, size, files in sorted(sized):
        if total - freed <= max_bytes:
            break
        for path in files:
            with contextlib.suppress(OSError):
                path.unlink()
        freed += size
    return freed


def _shards(folder: Path) -> list[list[Path]]:
    """The files of each shard of a store, the manifest first; an array without a manifest is one, too."""
    files: dict[str, list[Path]] = {path.stem: [path] for path in manifest_paths(folder)}
    for path in folder.glob("*.npy"):
        files.setdefault(path.name.partition(".")[0], []).append(path)
    return list(files.values())


def remove_stale(root: Path, older_than_s: float = ORPHAN_S) -> int:
    """Delete what killed processes left behind, and return how many files and folders there were.

    These are temporary files, leases, and arrays without a manifest, all of them older than a day: younger
    ones may belong to a process on another host.
    """
    count = sum(remove_old(root.glob(f"**/.*.{kind}"), older_than_s) for kind in ("tmp", "lease"))
    for record in root.glob("**/store.json"):
        arrays = set(record.parent.glob("*.npy"))
        for path in manifest_paths(record.parent):
            with contextlib.suppress(StorageError):
                arrays -= {read_manifest(path).array or path}
        count += remove_old(arrays, older_than_s)
    return count
