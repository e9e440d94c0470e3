"""Folders that Regraft itself has written: runs, models, exports and the cache are no data."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Set
from pathlib import Path

from regraft.storage.places import cache_folder, settings_folder

_RECORDS = ("run.json", "bundle.json", "package.json")
_EXPORTED = ("model.onnx", "model.xml", "model.safetensors")
_FIRST_BYTES = 65_536


def own_output(folder: Path, names: Set[str]) -> str | None:
    """What Regraft wrote into a folder, as a noun; None for folders of others.

    Args:
        folder: the folder.
        names: the names of the files and folders in it.
    """
    if "log.jsonl" in names and _is_log(folder / "log.jsonl"):
        return "run of regraft"
    if any(name in names and b'"regraft_version"' in _start(folder / name) for name in _RECORDS):
        return "run of regraft" if "run.json" in names else "model of regraft"
    if any(name in names for name in _EXPORTED) and b"regraft" in _start(folder / "README.md").lower():
        return "export of regraft"
    is_cache = "scan" in names and any((folder / "scan").glob("*/store.json"))
    return "cache of regraft" if is_cache else None


def _is_log(path: Path) -> bool:
    """Whether a file begins like the log of a fit, which is there before anything else."""
    try:
        entry = json.loads(_start(path).splitlines()[0])
    except (ValueError, IndexError):
        return False
    return isinstance(entry, dict) and entry.get("kind") == "started" and "command" in entry


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FIRST_BYTES) if path.is_file() else b""
    except OSError:
        return b""


def own_places() -> frozenset[tuple[int, int]]:
    """Device and inode of the cache and of the folder of settings, as far as they exist."""
    places = set()
    for place in (cache_folder(), settings_folder()):
        with contextlib.suppress(OSError):
            status = place.stat()
            places.add((status.st_dev, status.st_ino))
    return frozenset(places)
