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
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.errors import StorageError
from regraft.progress import Meter, Reporter, Silent
from regraft.storage.files import make_folder, mark_used, remove_old, write_json
from regraft.storage.locks import working_lock
from regraft.storage.mapped import Array, MappedShard, most_open, release
from regraft.storage.shards import (
    Failure,
    Known,
    RowSource,
    ShardSource,
    manifest_paths,
    one_by_one,
    read_manifest,
    remove_shard,
    write_shard,
)
from regraft.storage.verified import Verified
from regraft.storage.worklists import Piece, Worklist, new_worklist, open_worklists, pieces_of

SHARD_ROWS = 1024
_ATTEMPTS = 3


class Rows:
    """The rows of a store, memory-mapped: nothing is read from disk until it is gathered.

    A shard is compared with its hash when the first of its rows is gathered. A damaged one is deleted, and
    computed again if that is possible.

    Args:
        shards: the rows by shards; arrays in memory are taken as they are.
        places: the row of each key, counted through all shards.
        reasons: why the rows of some keys can't be computed.
        renewed: computes the rows of keys again, after their shard was deleted.
    """

    def __init__(
        self,
        shards: Sequence[Array | MappedShard],
        places: Mapping[str, int],
        reasons: Mapping[str, str] | None = None,
        renewed: Callable[[Sequence[str]], Rows] | None = None,
    ) -> None:
        self._shards = list(shards)
        self._places = places
        self._starts = list(itertools.accumulate(map(_length, shards), initial=0))
        self._renewed = renewed
        self._one_renewal = threading.Lock()
        self.reasons = reasons or {}
        """Why the rows of some keys can't be computed, as was found out now or earlier."""

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def gather(self, keys: Sequence[str], columns: slice | None = None) -> Array:
        """The rows of `keys`, in their order, as one array of the store's dtype.

        Args:
            keys: SHA-256 of the images; each must be in the store.
            columns: the columns to read from disk; None reads all.

        Raises:
            StorageError: a shard is damaged, and its rows can't be computed again now.
        """
        chosen = columns or slice(None)
        places = self._whole(keys)
        sample = self._array(0)[:0, chosen] if self._shards else np.empty((0, 0))
        result = np.empty((len(keys), *sample.shape[1:]), dtype=sample.dtype)
        order = np.argsort(places[:, 0], kind="stable")
        numbers, starts = np.unique(places[order, 0], return_index=True)
        parts = np.split(order, starts[1:]) if len(order) else []
        for number, wanted in zip(numbers.tolist(), parts, strict=True):
            array = self._array(number)
            result[wanted] = array[places[wanted, 1], chosen]
            release(array)
        return result

    def _array(self, number: int) -> Array:
        shard = self._shards[number]
        return shard.rows() if isinstance(shard, MappedShard) else shard

    def _whole(self, keys: Sequence[str]) -> npt.NDArray[np.int64]:
        """The shard and the row of each key, `(len(keys), 2)`, after a look whether the shards are whole."""
        for _ in range(_ATTEMPTS):
            found = np.fromiter(map(self._places.__getitem__, keys), dtype=np.int64, count=len(keys))
            number = np.searchsorted(self._starts, found, side="right") - 1
            places = np.stack([number, found - np.array(self._starts)[number]], axis=1)
            used = [self._shards[number] for number in np.unique(places[:, 0]).tolist()]
            mapped = [shard for shard in used if isinstance(shard, MappedShard)]
            damaged = [shard for shard in mapped if not shard.is_whole()]
            for shard in mapped[:1]:  # all have the same record
                shard.verified.save()
            if not damaged:
                return places
            with self._one_renewal:
                for shard in damaged:
                    self._renew(shard)
        raise StorageError(
            f"{damaged[0].path} and others are damaged again whenever they are written. Check the disk, or "
            "choose another folder for the cache with $REGRAFT_CACHE"
        )

    def _renew(self, shard: MappedShard) -> None:
        """Delete a damaged shard, and have its rows computed again; they are put behind all others."""
        start = self._starts[next(place for place, one in enumerate(self._shards) if one is shard)]
        own = range(start, start + _length(shard))
        lost = [key for key in shard.manifest.keys if self._places[key] in own]
        if not lost:  # another thread has done it
            return
        remove_shard(shard.manifest.path)
        if self._renewed is None:
            raise StorageError(
                f"{shard.path} was damaged, and has been deleted. Run the same command again: what the file "
                f"held ({len(lost):,} rows) is then computed again"
            )
        found = self._renewed(lost)
        absent = [key for key in lost if key not in found]
        if absent:
            reason = found.reasons.get(absent[0], "its file can't be read any more")
            raise StorageError(
                f"{shard.path} was damaged, and has been deleted; {len(absent):,} of its {len(lost):,} rows "
                f"can't be computed again, the first because: {reason}. Run the same command again"
            )
        end = self._starts[-1]
        self._shards += found._shards
        self._starts += [end + start for start in found._starts[1:]]
        self._places = {**self._places, **{key: end + found._places[key] for key in lost}}


def _length(shard: Array | MappedShard) -> int:
    return len(shard.manifest.keys) if isinstance(shard, MappedShard) else len(shard)


def _warn_of_damage(reporter: Reporter, name: str) -> None:
    reporter.warn(f"cache shard {name} was damaged; it is removed and computed again")


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
        renewed = partial(self._renewed, source=source, conditions=conditions, reporter=reporter)
        for _ in range(_ATTEMPTS):
            rows, known = self._opened(conditions, reporter, renewed)
            missing = [key for key in wanted if key not in known and key not in tried]
            if not missing:
                return rows
            with reporter.phase(phase, len(missing)) as meter:
                self._fill(missing, _Job(source, meter, known, tried))
        raise StorageError(
            f"the cache at {self.folder} keeps losing shards while it is used; another process may be "
            "clearing it. Run the command again"
        )

    def known(self, conditions: str = "") -> Known:
        """The keys that have a row, or a failure under these conditions; nothing else is opened."""
        known = Known(self.folder, conditions)
        known.refresh()
        return known

    def fill(self, keys: Sequence[str], compute: RowSource, known: Known, meter: Meter) -> None:
        """Compute the rows of `keys` that are not known, and open none.

        Args:
            keys: SHA-256 of the images.
            compute: computes rows; see `ensure`.
            known: what is known, to which the new rows are added.
            meter: counts the keys.
        """
        missing = [key for key in dict.fromkeys(keys) if key not in known]
        meter.advance(len(keys) - len(missing))
        if missing:
            self._fill(missing, _Job(one_by_one(compute), meter, known))

    def open(self, reporter: Reporter | None = None, *, conditions: str = "") -> Rows:
        """Open all complete rows; damaged shards are removed, with a warning, as far as their sizes tell.

        Args:
            reporter: receives the warnings.
            conditions: those of the failures whose reasons the result has; see `ensure`.
        """
        return self._opened(conditions, reporter or Silent())[0]

    def _opened(
        self,
        conditions: str,
        reporter: Reporter,
        renewed: Callable[[Sequence[str]], Rows] | None = None,
    ) -> tuple[Rows, Known]:
        shards: list[MappedShard] = []
        rows = 0
        places: dict[str, int] = {}
        reasons: dict[str, str] = {}
        known, verified, most = Known(self.folder, conditions), Verified(self.folder), most_open()
        for path in manifest_paths(self.folder):
            try:
                manifest = read_manifest(path)
                if manifest.keys:
                    is_kept = len(shards) < most
                    shard = MappedShard(manifest, self.width, self.dtype, verified, is_kept=is_kept)
            except (StorageError, OSError, ValueError):
                _warn_of_damage(reporter, path.stem)
                remove_shard(path)
                continue
            known.add(manifest)
            reasons |= manifest.failures_under(conditions)
            if manifest.keys:
                own = dict(zip(manifest.keys, itertools.count(rows), strict=False))
                if not own.keys().isdisjoint(places.keys()):  # two processes have computed the same rows
                    own = {key: row for key, row in own.items() if key not in places}
                places.update(own)
                rows += len(manifest.keys)
                shards.append(shard)
            mark_used(path)
        reasons = {key: reasons[key] for key in reasons if key not in places}
        return Rows(shards, places, reasons, renewed), known

    def _renewed(
        self, lost: Sequence[str], *, source: ShardSource, conditions: str, reporter: Reporter
    ) -> Rows:
        """The rows of a shard that was found damaged as it was read, computed again."""
        _warn_of_damage(reporter, f"with {len(lost):,} rows in {self.folder.name}")
        return self.ensure_by(source, lost, conditions=conditions)

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
            for keys, rows in job.source(taken(), job.meter):
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
