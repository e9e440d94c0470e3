"""Caches of several machines put together: shards are named after their content, so copying is merging."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from regraft.errors import StorageError
from regraft.storage.files import copy_atomically, key_of, read_json, sha256_of_file, write_json
from regraft.storage.shards import Known, Manifest, array_path, manifest_paths, read_manifest

_HASH = re.compile(r"[0-9a-f]{64}")
_MERGED = ("features", "activations", "scan")
_NAMED_BY_FACTS = ("features", "activations")
_OF_MACHINES = ("cpu", "device", "runtime", "threads", "version", "versions", "batch")


@dataclass
class Merged:
    """What came of one cache."""

    copied: int = 0
    """Number of shards that were copied."""
    known: int = 0
    """Number of shards with nothing new in them."""
    rows: int = 0
    """Number of rows in the copied shards."""
    size_bytes: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    """Why some stores and shards were left out, by their name."""


def merge_cache(source: Path, root: Path) -> Merged:
    """Copy the shards of another cache that this one lacks, after a comparison with their hashes.

    Args:
        source: the other cache, which is not changed.
        root: this cache.

    Raises:
        StorageError: the source is no cache, or is this one.
    """
    if not source.is_dir():
        raise StorageError(f"{source} is not a folder; name the folder that $REGRAFT_CACHE was elsewhere")
    if source.resolve() == root.resolve():
        raise StorageError(f"{source} is the cache that would be merged into; name another one")
    records = [path for name in _MERGED for path in sorted((source / name).glob("*/store.json"))]
    if not records:
        raise StorageError(
            f"{source} holds no cached rows; a cache has the folders {', '.join(_MERGED)}, as "
            "`regraft extract` fills them"
        )
    merged = Merged()
    for record in records:
        _merge_store(record.parent, root / record.parent.relative_to(source), merged)
    return merged


def _merge_store(source: Path, target: Path, merged: Merged) -> None:
    name = f"{source.parent.name}/{source.name}"
    try:
        facts = read_json(source / "store.json")
        if source.parent.name in _NAMED_BY_FACTS and key_of(facts)[:24] != source.name:
            raise StorageError("its facts don't fit its name")
        if (target / "store.json").exists() and read_json(target / "store.json") != facts:
            raise StorageError("its facts differ from those of the same store here")
    except StorageError as error:
        merged.refused[name] = str(error)
        return
    known = Known(target, "")
    known.refresh()
    for path in manifest_paths(source):
        try:
            manifest = _checked(path)
            here = target / path.name
            if here.exists() or (not manifest.failed and all(key in known for key in manifest.keys)):
                merged.known += 1
                continue
            if not (target / "store.json").exists():
                write_json(target / "store.json", facts)
            _copy(manifest, here, merged)
        except StorageError as error:
            merged.refused[f"{name}/{path.stem}"] = str(error)


def _checked(path: Path) -> Manifest:
    """A manifest whose array has the right hash and as many rows as the manifest has keys.

    Raises:
        StorageError: the shard is damaged, or holds something else.
    """
    manifest = read_manifest(path)
    if not all(_HASH.fullmatch(key) for key in (*manifest.keys, *manifest.failed)):
        raise StorageError("its keys are not hashes of images")
    if not manifest.keys:
        return manifest
    if not _HASH.fullmatch(manifest.sha256):
        raise StorageError("it states no hash of its array")
    array = manifest.array
    try:
        if array is None or sha256_of_file(array) != manifest.sha256:
            raise StorageError("its array does not have the hash that its manifest states")
        rows = len(np.load(array, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise StorageError(f"its array can't be read: {error}") from error
    if rows != len(manifest.keys):
        raise StorageError(f"its array has {rows} rows for {len(manifest.keys)} keys")
    return manifest


def _copy(manifest: Manifest, here: Path, merged: Merged) -> None:
    """Copy a shard, the manifest last."""
    if manifest.array is not None:
        copy_atomically(manifest.array, array_path(here, manifest.sha256))
        merged.size_bytes += manifest.array.stat().st_size
    Manifest(here, manifest.keys, manifest.sha256, manifest.failed, manifest.conditions).write()
    merged.copied += 1
    merged.rows += len(manifest.keys)


def apart(root: Path) -> list[str]:
    """Which features are in several stores because they were computed on machines of several kinds.

    A fit uses those of its own machine only, and computes the others again.
    """
    alike: dict[str, list[Mapping[str, Any]]] = {}
    for record in sorted((root / "features").glob("*/store.json")):
        facts = read_json(record)
        rest = {name: value for name, value in facts.items() if name not in _OF_MACHINES}
        alike.setdefault(key_of(rest), []).append(facts)
    lines = []
    for stores in alike.values():
        names = [name for name in _OF_MACHINES if len({str(facts.get(name)) for facts in stores}) > 1]
        if names:
            kinds = [", ".join(f"{name} {facts.get(name)}" for name in names) for facts in stores]
            lines.append(
                f"features of {stores[0].get('network')} were computed on machines of {len(stores)} kinds "
                f"({' | '.join(kinds)}), and a fit uses those of its own kind only"
            )
    return lines
