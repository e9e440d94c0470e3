"""The upkeep of the cache: what it holds, verified, pruned and tidied."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regraft.errors import StorageError
from regraft.storage.files import read_json, sha256_of_file


@dataclass(frozen=True)
class CacheUse:
    """The size and last use of one store."""

    folder: Path
    facts: Mapping[str, Any]
    rows: int
    size_bytes: int
    last_used: float


def verify_store(folder: Path) -> list[str]:
    """Remove the shards of a store whose bytes don't match their manifest, and return their names."""
    damaged = []
    for manifest in folder.glob("*.json"):
        if manifest.name == "store.json":
            continue
        data = manifest.with_suffix(".npy")
        try:
            is_whole = sha256_of_file(data) == read_json(manifest)["sha256"]
        except (StorageError, OSError, KeyError, TypeError):
            is_whole = False
        if not is_whole:
            damaged.append(f"{folder.name}/{manifest.stem}")
            for path in (manifest, data):
                path.unlink(missing_ok=True)
    return damaged


def stores_below(root: Path) -> list[CacheUse]:
    """All stores of the cache, the most recently used first."""
    uses = []
    for record in root.glob("**/store.json"):
        folder = record.parent
        with contextlib.suppress(StorageError, OSError):
            uses.append(_measure(folder, read_json(record)))
    return sorted(uses, key=lambda use: use.last_used, reverse=True)


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

    These are shards of rows, trainings, and archives that were unpacked.

    A process that has a shard open can go on reading it (POSIX); one that needs it later computes it again.
    """
    # The manifest is deleted first: without it the shard does not exist.
    units: list[tuple[Path, ...]] = [(data.with_suffix(".json"), data) for data in root.glob("**/*.npy")]
    trainings = [tuple(sorted(folder.glob("*"))) for folder in (root / "training").glob("[!.]*")]
    unpacked = [tuple(folder.glob("*.tar")) for folder in (root / "archives").glob("[!.]*")]
    units += [files for files in (*trainings, *unpacked) if files]
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


def remove_stale(root: Path, older_than_s: float = 86_400) -> int:
    """Delete temporary files that killed processes left behind, and return how many there were."""
    count = 0
    for path in root.glob("**/.*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > older_than_s:
                path.unlink()
                count += 1
    return count
