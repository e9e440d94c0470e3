"""A content-addressed table on disk: one row of fixed width for each image, computed once.

A store is a folder whose name is the key of everything that its rows depend on besides the image. Rows are
kept in shards (`shards.py`) of at most `SHARD_ROWS`, by the SHA-256 of their image; so are the reasons why
some rows can't be computed. A killed process loses at most the shard that it was working on. Several
processes, also in containers and on other hosts, share the work: what is missing is cut once
(`worklists.py`), and each shard has a lock (`locks.py`). A shard whose bytes don't match its manifest is
deleted and computed again.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from regraft.errors import StorageError
from regraft.progress import Meter, Reporter, Silent
from regraft.storage.files import make_folder, remove_old, sha256_of_file, write_json
from regraft.storage.locks import working_lock
from regraft.storage.shards import (
    Failure,
    Known,
    Manifest,
    manifest_paths,
    read_manifest,
    remove_shard,
    write_shard,
)
from regraft.storage.worklists import Piece, Worklist, new_worklist, open_worklists, pieces_of

SHARD_ROWS = 1024
_ATTEMPTS = 3
Array = npt.NDArray[Any]


class RowSource(Protocol):
    """Computes the rows of one shard's images."""

    def __call__(self, keys: Sequence[str]) -> Iterable[tuple[str, Array | Failure | None]]:
        """Yield `(key, row)` for every key, in any order.

        The row is a `Failure` if the image can't be used, now or later; None if it can't be read.
        """


class ShardSource(Protocol):
    """Computes the rows of several shards, some of them at the same time."""

    def __call__(
        self, shards: Iterator[Sequence[str]]
    ) -> Iterator[tuple[Sequence[str], Iterable[tuple[str, Array | Failure | None]]]]:
        """Yield every shard that was taken from the iterator with its rows, in any order.

        A shard is locked when it is taken, and unlocked when it is written.
        """


def one_by_one(compute: RowSource) -> ShardSource:
    """A source that computes a shard while it is being written, and begins the next one after that."""

    def run(
        shards: Iterator[Sequence[str]],
    ) -> Iterator[tuple[Sequence[str], Iterable[tuple[str, Array | Failure | None]]]]:
        for keys in shards:
            yield keys, compute(keys)

    return run


class Rows:
    """The rows of a store, memory-mapped: nothing is read from disk until it is gathered."""

    def __init__(
        self,
        shards: Sequence[Array],
        places: Mapping[str, tuple[int, int]],
        reasons: Mapping[str, str] | None = None,
    ) -> None:
        self._shards = shards
        self._places = places
        self.reasons = reasons or {}
        """Why the rows of some keys can't be computed, as was found out now or earlier."""

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
        conditions: str = "",
        reporter: Reporter | None = None,
        phase: str = "computing",
    ) -> Rows:
        """Compute the missing rows of `keys`, then open all of them.

        Args:
            keys: SHA-256 of the images.
            compute: computes rows. Keys with a `Failure` are absent from the result, which has their reasons,
                and are not tried again; keys with None are absent, and tried again next time.
            conditions: what failures depend on besides the key; under others they are tried again.
            reporter: receives the progress.
            phase: what the progress is called.
        """
        source = one_by_one(compute)
        return self.ensure_by(source, keys, conditions=conditions, reporter=reporter, phase=phase)

    def ensure_by(
        self,
        source: ShardSource,
        keys: Sequence[str],
        *,
        conditions: str = "",
        reporter: Reporter | None = None,
        phase: str = "computing",
    ) -> Rows:
        """As `ensure`, by a source that may compute several shards at the same time."""
        reporter = reporter or Silent()
        wanted = list(dict.fromkeys(keys))
        tried: set[str] = set()
        for _ in range(_ATTEMPTS):
            rows, known = self._opened(conditions, reporter)
            missing = [key for key in wanted if key not in known and key not in tried]
            if not missing:
                return rows
            with reporter.phase(phase, len(missing)) as meter:
                self._fill(missing, _Job(source, meter, known, tried))
        raise StorageError(
            f"the cache at {self.folder} keeps losing shards while it is used; another process may be "
            "clearing it. Run the command again"
        )

    def open(self, reporter: Reporter | None = None, *, conditions: str = "") -> Rows:
        """Open all complete and undamaged rows; damaged shards are removed, with a warning.

        Args:
            reporter: receives the warnings.
            conditions: those of the failures whose reasons the result has; see `ensure`.
        """
        return self._opened(conditions, reporter or Silent())[0]

    def _opened(self, conditions: str, reporter: Reporter) -> tuple[Rows, Known]:
        arrays: list[Array] = []
        places: dict[str, tuple[int, int]] = {}
        reasons: dict[str, str] = {}
        known = Known(self.folder, conditions)
        for path in manifest_paths(self.folder):
            try:
                manifest = read_manifest(path)
                array = self._verified(manifest)
            except (StorageError, OSError, ValueError):
                reporter.warn(f"cache shard {path.stem} was damaged; it is removed and computed again")
                remove_shard(path)
                continue
            known.add(manifest)
            reasons |= manifest.failures_under(conditions)
            if array is not None:
                for row, key in enumerate(manifest.keys):
                    places.setdefault(key, (len(arrays), row))
                arrays.append(array)
            with contextlib.suppress(OSError):  # a read-only cache can be used too
                os.utime(path)  # `prune` deletes the least recently used shards first
        return Rows(arrays, places, {key: reasons[key] for key in reasons if key not in places}), known

    def _verified(self, manifest: Manifest) -> Array | None:
        """The rows of a shard; None if it has only failures.

        Raises:
            ValueError: the array is not the one that the manifest was written for.
        """
        path = manifest.array
        if path is None and not manifest.keys:
            return None
        if path is None or not _is_whole(path, manifest.sha256):
            raise ValueError(f"{manifest.path} does not match its array")
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.shape != (len(manifest.keys), self.width) or array.dtype != self.dtype:
            raise ValueError(f"{path} has another shape than its store")
        return array

    def _fill(self, missing: Sequence[str], job: _Job) -> None:
        """Compute the missing rows shard by shard; shards that another process has locked come last."""
        make_folder(self.folder)
        if not (self.folder / "store.json").exists():
            write_json(self.folder / "store.json", self.facts)
        remove_old(self.folder.glob(".*.tmp"))
        worklists = self._worklists(missing, job.known)
        pieces = pieces_of(worklists, set(missing), job.known, most_rows=self._shard_rows)
        job.meter.advance(len(missing) - sum(len(piece.keys) for piece in pieces))
        while pieces:
            busy = self._fill_free(pieces, job)
            if len(busy) == len(pieces):  # others compute all that is left; what they lose is for us
                self._fill_free(busy[:1], job, wait=True)
                del busy[:1]
            pieces = busy
        for worklist in worklists:
            worklist.close(job.known)

    def _worklists(self, missing: Sequence[str], known: Known) -> list[Worklist]:
        """All open lists; what is missing and in none of them is in a new one."""
        with working_lock(self.folder / ".worklists.lock", wait=True):
            worklists = open_worklists(self.folder)
            known.refresh()  # after the lists: one that was closed meanwhile has left all its shards
            listed = {key for worklist in worklists for key in worklist.keys}
            new = [key for key in missing if key not in listed and key not in known]
            if new:
                worklists.append(new_worklist(self.folder, new, self._shard_rows))
                worklists[-1].write()
        return worklists

    def _fill_free(self, pieces: Sequence[Piece], job: _Job, *, wait: bool = False) -> list[Piece]:
        """Compute what is missing of the shards that no other process is busy with; returns the others."""
        busy: list[Piece] = []
        locks: dict[tuple[str, ...], contextlib.ExitStack] = {}

        def taken() -> Iterator[Sequence[str]]:
            for piece in pieces:
                with contextlib.ExitStack() as stack:
                    places = (self.folder / f".{name}.lock" for name in piece.locks)
                    if not all(stack.enter_context(working_lock(place, wait=wait)) for place in places):
                        busy.append(piece)
                        continue
                    job.known.refresh()  # another process may have computed it meanwhile
                    missing = tuple(key for key in piece.keys if key not in job.known)
                    job.meter.advance(len(piece.keys) - len(missing))
                    if missing:
                        locks[missing] = stack.pop_all()
                        yield missing

        try:
            for keys, rows in job.source(taken()):
                self._write(keys, rows, job)
                locks.pop(tuple(keys)).close()
        finally:
            for stack in locks.values():
                stack.close()
        return busy

    def _write(
        self, keys: Sequence[str], rows: Iterable[tuple[str, Array | Failure | None]], job: _Job
    ) -> None:
        """Write rows, which may be computed meanwhile, as a shard."""
        place = {key: number for number, key in enumerate(keys)}
        array = np.empty((len(keys), self.width), dtype=self.dtype)
        done = np.zeros(len(keys), dtype=bool)
        failed: dict[str, str] = {}
        for key, row in rows:
            if isinstance(row, Failure):
                failed[key] = row.reason
            elif row is not None:
                array[place[key]] = row
                done[place[key]] = True
            job.meter.advance()
        kept = [key for key, is_done in zip(keys, done, strict=True) if is_done]
        job.tried.update(keys)
        job.tried.difference_update(kept)
        if kept or failed:
            whole = array if done.all() else array[done]
            job.known.add(write_shard(self.folder, kept, whole, failed, job.known.conditions))


@dataclass(frozen=True)
class _Job:
    """What computes missing rows, and what came of it."""

    source: ShardSource
    meter: Meter
    known: Known
    tried: set[str] = field(default_factory=set)
    """Keys without a row; if that is for good, their reasons are in the store."""
