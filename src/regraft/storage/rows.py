"""A content-addressed table on disk: one row of fixed width for each image, computed once.

A store is a folder whose name is the key of everything that its rows depend on besides the image.
Rows are kept in shards of at most `SHARD_ROWS`: an array file and a manifest that lists the rows (by the
SHA-256 of the image) with the array's own SHA-256. The manifest is renamed into place last, so a
shard exists completely or not at all. A shard is written by a thread of its own while the next one is
computed, so a killed process loses at most these two; several processes share the work, with a lock for each
shard; a shard whose bytes don't match its manifest is deleted and computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import mmap
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import filelock
import numpy as np
import numpy.typing as npt

from regraft.errors import StorageError
from regraft.progress import Meter, Reporter, Silent
from regraft.storage.files import make_folder, read_json, sha256_of_file, write_atomically, write_json

SHARD_ROWS = 1024
_ATTEMPTS = 3
Array = npt.NDArray[Any]


class RowSource(Protocol):
    """Computes the rows of one shard's images."""

    def __call__(self, keys: Sequence[str]) -> Iterable[tuple[str, Array | None]]:
        """Yield `(key, row)` for every key, in any order; None for an image that can't be used."""


@dataclass(frozen=True)
class _Shard:
    name: str
    keys: tuple[str, ...]
    array: Array


class Rows:
    """The rows of a store, memory-mapped: nothing is read from disk until it is gathered."""

    def __init__(self, shards: Sequence[Array], places: Mapping[str, tuple[int, int]]) -> None:
        self._shards = shards
        self._places = places

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def gather(self, keys: Sequence[str], columns: slice | None = None) -> Array:
        """The rows of `keys`, in their order, as one array of the store's dtype.

        Args:
            keys: SHA-256 of the images; each must be in the store.
            columns: the columns to read from disk; None reads all.
        """
        chosen = columns or slice(None)
        sample = self._shards[0][:0, chosen] if self._shards else np.empty((0, 0))
        result = np.empty((len(keys), *sample.shape[1:]), dtype=sample.dtype)
        places = np.array([self._places[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        for number in np.unique(places[:, 0]):
            wanted = np.flatnonzero(places[:, 0] == number)
            result[wanted] = self._shards[number][places[wanted, 1], chosen]
            _release(self._shards[number])
        return result


def _release(array: Array) -> None:
    """Release the memory pages of a mapping; without this, reads would end up mapping the whole store."""
    mapping = getattr(array, "_mmap", None)
    if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


_whole: set[tuple[str, str, int, int, int]] = set()
"""Files that this process has read to their ends: path, hash, size, time of the last change, and number."""
_SETTLED_NS = 2_000_000_000


def _is_whole(path: Path, sha256: str) -> bool:
    """Whether a file has this hash; it is read once in each process unless it changes.

    A file that has changed a moment ago is read again, since clocks of file systems tick slowly.
    """
    state = path.stat()
    known = (str(path), sha256, state.st_size, state.st_mtime_ns, state.st_ino)
    if known in _whole:
        return True
    if sha256_of_file(path) != sha256:
        return False
    if time.time_ns() - state.st_mtime_ns > _SETTLED_NS:
        _whole.add(known)
    return True


class RowStore:
    """The rows that one configuration computes, for any images.

    Args:
        folder: the store's folder; it is created on the first write.
        width: number of values in a row.
        dtype: type of a row's values.
        facts: what the rows depend on; written next to them for people to read.
        shard_rows: number of rows in a shard, which is computed in memory; None means `SHARD_ROWS`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        width: int,
        dtype: npt.DTypeLike,
        facts: Mapping[str, Any],
        shard_rows: int | None = None,
    ) -> None:
        self.folder = folder
        self._shard_rows = shard_rows or SHARD_ROWS
        self.width = width
        self.dtype = np.dtype(dtype)
        self.facts = dict(facts)

    def ensure(
        self,
        keys: Sequence[str],
        compute: RowSource,
        *,
        reporter: Reporter | None = None,
        phase: str = "computing",
    ) -> Rows:
        """Compute the missing rows of `keys`, then open all of them.

        Keys for which `compute` yields None are absent from the result and are tried again next time.
        """
        reporter = reporter or Silent()
        wanted = list(dict.fromkeys(keys))
        failed: set[str] = set()
        for _ in range(_ATTEMPTS):
            rows = self.open(reporter)
            missing = [key for key in wanted if key not in rows and key not in failed]
            if not missing:
                return rows
            with reporter.phase(phase, len(missing)) as meter:
                failed |= self._fill(missing, compute, meter)
        raise StorageError(
            f"the cache at {self.folder} keeps losing shards while it is used; another process may be "
            "clearing it. Run the command again"
        )

    def open(self, reporter: Reporter | None = None) -> Rows:
        """Open all complete and undamaged rows; damaged shards are removed, with a warning."""
        reporter = reporter or Silent()
        arrays: list[Array] = []
        places: dict[str, tuple[int, int]] = {}
        for manifest in self._manifests():
            shard = self._read_shard(manifest)
            if shard is None:
                reporter.warn(f"cache shard {manifest.stem} was damaged; it is removed and computed again")
                self._remove(manifest.stem)
                continue
            for row, key in enumerate(shard.keys):
                places.setdefault(key, (len(arrays), row))
            arrays.append(shard.array)
        return Rows(arrays, places)

    def _manifests(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*.json") if path.name != "store.json")

    def _read_shard(self, manifest: Path) -> _Shard | None:
        try:
            record = read_json(manifest)
            keys = tuple(str(key) for key in record["keys"])
            path = self.folder / f"{manifest.stem}.npy"
            if not _is_whole(path, str(record["sha256"])):
                return None
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (StorageError, KeyError, TypeError, OSError, ValueError):
            return None
        with contextlib.suppress(OSError):  # a read-only cache can be used too
            os.utime(manifest)  # `prune` deletes the least recently used shards first
        fits = array.shape == (len(keys), self.width) and array.dtype == self.dtype
        return _Shard(manifest.stem, keys, array) if fits else None

    def _remove(self, name: str) -> None:
        for suffix in (".json", ".npy"):
            with contextlib.suppress(OSError):
                (self.folder / f"{name}{suffix}").unlink()

    def _fill(self, missing: Sequence[str], compute: RowSource, meter: Meter) -> set[str]:
        """Compute the missing rows shard by shard; shards that another process has locked come last."""
        make_folder(self.folder)
        if not (self.folder / "store.json").exists():
            write_json(self.folder / "store.json", self.facts)
        size = self._shard_rows
        shards = [missing[start : start + size] for start in range(0, len(missing), size)]
        with _Writer() as writer:
            filling = _Filling(compute, meter, writer)
            busy = [keys for keys in shards if not self._fill_shard(keys, filling, wait=False)]
            for keys in busy:
                self._fill_shard(keys, filling, wait=True)
        return filling.failed

    def _fill_shard(self, keys: Sequence[str], filling: _Filling, *, wait: bool) -> bool:
        name = hashlib.sha256("".join(keys).encode()).hexdigest()[:24]
        try:
            lock = self._locked(name, wait=wait)
        except filelock.Timeout:
            return False
        write = None
        try:
            if (self.folder / f"{name}.json").exists():  # another process has computed it meanwhile
                filling.meter.advance(len(keys))
            else:
                write = self._computed(name, keys, filling)
        finally:
            if write is None:
                lock.release()
        if write is not None:
            filling.writer.submit(write, lock.release)
        return True

    def _locked(self, name: str, *, wait: bool) -> filelock.BaseFileLock:
        """The lock of a shard, taken; its file stays: deleting it would let two processes take it at once."""
        path = self.folder / f".{name}.lock"
        lock = filelock.FileLock(path, timeout=-1 if wait else 0, thread_local=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise
        except OSError as error:
            raise StorageError(
                f"can't lock {path}: {error}; set $REGRAFT_CACHE to a folder where files can be locked"
            ) from error
        return lock

    def _computed(self, name: str, keys: Sequence[str], filling: _Filling) -> Callable[[], None] | None:
        """Compute the rows of a shard; returns what writes them, None if there are none."""
        place = {key: number for number, key in enumerate(keys)}
        array = np.empty((len(keys), self.width), dtype=self.dtype)
        done = np.zeros(len(keys), dtype=bool)
        for key, row in filling.compute(keys):
            if row is None:
                filling.failed.add(key)
            else:
                array[place[key]] = row
                done[place[key]] = True
            filling.meter.advance()
        kept = [key for key, is_done in zip(keys, done, strict=True) if is_done]
        if not kept:
            return None
        whole = array if done.all() else array[done]
        return lambda: self._write_shard(name, kept, whole)

    def _write_shard(self, name: str, keys: Sequence[str], array: Array) -> None:
        pieces = _npy_pieces(array)
        write_atomically(self.folder / f"{name}.npy", pieces)
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        write_json(self.folder / f"{name}.json", {"keys": list(keys), "sha256": digest.hexdigest()})


class _Writer:
    """Writes one shard at a time in a thread of its own; an error appears with the next shard, or at the end.

    At most one shard is being written and one being computed: two in memory.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def submit(self, write: Callable[[], None], finish: Callable[[], object]) -> None:
        """Write a shard once the one before is written; `finish` is called in any case."""

        def work() -> None:
            try:
                write()
            finally:
                finish()

        try:
            self._wait()
        except BaseException:
            finish()
            raise
        self._last = self._pool.submit(work)

    def _wait(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(wait=True)
        if kind is None:
            self._wait()


@dataclass
class _Filling:
    """What the shards of one call have in common."""

    compute: RowSource
    meter: Meter
    writer: _Writer
    failed: set[str] = field(default_factory=set)
    """Images that can't be used."""


def _npy_pieces(array: Array) -> list[bytes | memoryview]:
    """A `.npy` file as its header and the array's own memory, so that a shard is not copied to be written."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return [header.getvalue(), array.reshape(-1).view(np.uint8).data]
