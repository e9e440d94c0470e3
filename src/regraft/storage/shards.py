"""A shard on disk: rows in an array file that is named after its own hash, and a manifest that lists them.

The manifest (`SHARD.json`) lists the keys of the rows, the SHA-256 of the array file (`SHARD.SHA256.npy`),
and the reasons of the keys whose rows can't be computed. It is renamed into place last, so a shard exists
completely or not at all. Two processes that write the same shard write two arrays unless all bits are equal,
and each manifest points to its own, so the two can't be mixed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from regraft.errors import StorageError
from regraft.progress import Meter
from regraft.storage.files import read_json, write_atomically, write_json

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Failure:
    """That a row can't be computed by any process: the reason is kept, and the row is not tried again."""

    reason: str


class RowSource(Protocol):
    """Computes the rows of one shard's images."""

    def __call__(self, keys: Sequence[str]) -> Iterable[tuple[str, Array | Failure | None]]:
        """Yield `(key, row)` for every key, in any order.

        The row is a `Failure` if the image can't be used, now or later; None if it can't be read.
        """


class ShardSource(Protocol):
    """Computes the rows of several shards, some of them at the same time."""

    def __call__(
        self, shards: Iterator[Sequence[str]], meter: Meter
    ) -> Iterator[tuple[Sequence[str], Iterable[tuple[str, Array | Failure | None]]]]:
        """Yield every shard that was taken from the iterator with its rows, in any order.

        A shard is locked when it is taken, and unlocked when it is written. The meter counts its keys as they
        are done.
        """


def one_by_one(compute: RowSource) -> ShardSource:
    """A source that computes a shard while it is being written, and begins the next one after that."""

    def run(
        shards: Iterator[Sequence[str]], meter: Meter
    ) -> Iterator[tuple[Sequence[str], Iterable[tuple[str, Array | Failure | None]]]]:
        for keys in shards:
            yield keys, _counted(compute(keys), meter)

    return run


def _counted(
    rows: Iterable[tuple[str, Array | Failure | None]], meter: Meter
) -> Iterator[tuple[str, Array | Failure | None]]:
    for row in rows:
        yield row
        meter.advance()


@dataclass(frozen=True)
class Manifest:
    """What one shard holds."""

    path: Path
    keys: tuple[str, ...]
    """The key of each row of the array."""
    sha256: str
    """SHA-256 of the array file; empty if there are no rows, and so no file."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """The reasons of the keys whose rows can't be computed."""
    conditions: str = ""
    """What these failures depend on besides the key; under other conditions they may succeed."""

    @property
    def array(self) -> Path | None:
        """The file of the rows; None if there are none. Earlier versions named it after the shard alone."""
        if not self.sha256:
            return None
        named = array_path(self.path, self.sha256)
        return named if named.exists() else self.path.with_suffix(".npy")

    def failures_under(self, conditions: str) -> Mapping[str, str]:
        """The failures that would be repeated under the given conditions."""
        return self.failed if self.conditions == conditions else {}

    def write(self) -> None:
        """Write the manifest, after its array."""
        record: dict[str, Any] = {"keys": list(self.keys), "sha256": self.sha256}
        if self.failed:
            record |= {"failed": dict(self.failed), "conditions": self.conditions}
        write_json(self.path, record)


def manifest_paths(folder: Path) -> list[Path]:
    """The manifests of all shards of a store, in order."""
    return sorted(path for path in folder.glob("*.json") if path.name != "store.json")


def read_manifest(path: Path) -> Manifest:
    """What a shard holds.

    Raises:
        StorageError: the manifest is missing or damaged.
    """
    record = read_json(path)
    try:
        failed = {str(key): str(reason) for key, reason in record.get("failed", {}).items()}
        keys = tuple(map(str, record["keys"]))
        return Manifest(path, keys, str(record["sha256"]), failed, str(record.get("conditions", "")))
    except (KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} is no manifest of a shard: {error!r}") from error


def array_path(manifest: Path, sha256: str) -> Path:
    """Where the rows of a shard are, by its manifest and their hash."""
    return manifest.with_name(f"{manifest.stem}.{sha256[:16]}.npy")


def shard_name(keys: Iterable[str]) -> str:
    """The name of the shard that settles some keys, by a row or by a reason."""
    return hashlib.sha256("".join(keys).encode()).hexdigest()[:24]


def write_shard(
    folder: Path, keys: Sequence[str], rows: Array, failed: Mapping[str, str], conditions: str
) -> Manifest:
    """Write a shard.

    Args:
        folder: the store's folder.
        keys: the keys of the rows.
        rows: `(len(keys), width)`, contiguous.
        failed: the reasons of the keys whose rows can't be computed.
        conditions: what these failures depend on besides the key.
    """
    path = folder / f"{shard_name(sorted([*keys, *failed]))}.json"
    sha256 = ""
    if len(keys):
        pieces = _npy_pieces(rows)
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        sha256 = digest.hexdigest()
        write_atomically(array_path(path, sha256), pieces)
    manifest = Manifest(path, tuple(keys), sha256, failed, conditions if failed else "")
    manifest.write()
    return manifest


def remove_shard(manifest: Path) -> None:
    """Delete a shard with all its arrays; the manifest first, without which it does not exist."""
    for path in (manifest, *manifest.parent.glob(f"{manifest.stem}.*npy")):
        with contextlib.suppress(OSError):
            path.unlink()


def _npy_pieces(array: Array) -> list[bytes | memoryview]:
    """A `.npy` file as its header and the array's own memory, so that a shard is not copied to be written."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return [header.getvalue(), array.reshape(-1).view(np.uint8).data]


class Known:
    """Which keys a store has settled, by a row or by a lasting failure; manifests are read as they appear."""

    def __init__(self, folder: Path, conditions: str) -> None:
        self.conditions = conditions
        self._folder = folder
        self._seen: set[str] = set()
        self._keys: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, manifest: Manifest) -> None:
        """Take a manifest into account that was read or written."""
        self._seen.add(manifest.path.name)
        self._keys.update(manifest.keys)
        self._keys.update(manifest.failures_under(self.conditions))

    def refresh(self) -> None:
        """Take the shards into account that other processes have written since."""
        for path in self._folder.glob("*.json"):
            if path.name not in self._seen and path.name != "store.json":
                with contextlib.suppress(StorageError):  # it is removed when the store is opened again
                    self.add(read_manifest(path))


def forget_failures(root: Path, keys: Iterable[str]) -> int:
    """Have everything that failed be tried again; returns how many failures there were.

    Args:
        root: the cache, or a folder of it.
        keys: the keys whose failures are forgotten.
    """
    wanted, count = set(keys), 0
    for record in root.glob("**/store.json"):
        for path in manifest_paths(record.parent):
            with contextlib.suppress(StorageError):
                count += _forget(read_manifest(path), wanted)
    return count


def _forget(manifest: Manifest, keys: set[str]) -> int:
    kept = {key: reason for key, reason in manifest.failed.items() if key not in keys}
    count = len(manifest.failed) - len(kept)
    if count and not kept and not manifest.keys:
        remove_shard(manifest.path)
    elif count:
        Manifest(manifest.path, manifest.keys, manifest.sha256, kept, manifest.conditions).write()
    return count
