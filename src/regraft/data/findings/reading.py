"""Files from the disk to what a scan keeps of them: new ones are read once, known ones not at all.

A file is known by its path and its state, which is its size, its times and its inode (`FileState`); the table
of them lies next to what scans keep. A file in an archive has the state of the archive. What was modified in
the last two seconds is not entered into the table, because it could change again at the same time.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft.data.archives.places import file_state
from regraft.data.pictures.file_kinds import foreign_by_name, foreign_file
from regraft.data.pictures.guards import LoadLimits, check_size, read_file
from regraft.data.sources.candidates import Candidate, Found
from regraft.errors import ImageError
from regraft.machine.collection import collection_paused
from regraft.parallel import in_order
from regraft.progress import Meter
from regraft.storage.columns import divided, joined, remember, remembered
from regraft.storage.files import key_of, mark_used, sha256_of
from regraft.storage.places import cache_folder
from regraft.storage.rows import SHARD_ROWS, RowStore
from regraft.storage.shards import Failure
from regraft.storage.verified import FileState

_VERSION = 1
_SHA_BYTES = 32
_SHA_DIGITS = 2 * _SHA_BYTES
_NUMBERS = 1 + len(FileState._fields)
_LARGEST_HELD = 4 << 20  # bytes of a file that waits in memory to be decoded; larger ones are read again
_HELD_BYTES = 256 << 20
_MOST_HELD = 8 * SHARD_ROWS
_SAVED_EVERY_S = 120.0
_COUNTED = 1_000  # known files, which take microseconds each, that are counted together

Facts = npt.NDArray[np.uint8] | Failure | None
"""A row of what a scan keeps of an image; None: the file can't be read now."""


class KnownFiles:
    """The table of the files of one data set; it is replaced as a whole.

    A table that is missing or damaged costs only that all files are read.

    Args:
        path: where the table is.
        is_obeyed: whether files are taken as known that are in the table.
    """

    def __init__(self, path: Path, *, is_obeyed: bool = True) -> None:
        self._path = path
        self._paths, numbers, hashes = _read_table(path) if is_obeyed else _empty_table()
        self._numbers, self._hashes = array("q", numbers.tobytes()), hashes.hex()
        self._is_found, self._next = bytearray(len(self._paths)), 0
        self._new_paths: list[str] = []
        self._new_numbers, self._new_hashes = array("q"), bytearray()
        self._saved = len(self._paths) if is_obeyed else -1

    @classmethod
    def of(cls, found: Found, *, is_obeyed: bool = True) -> KnownFiles:
        """The table of a data set, which is known by its folder, and by its table and columns."""
        facts = [_VERSION, str(Path(found.root).resolve()), found.source]
        path = cache_folder() / "scan" / "files" / f"{key_of(facts)[:24]}.npz"
        return cls(path, is_obeyed=is_obeyed)

    def find(self, path: str, state: FileState) -> tuple[str, int] | None:
        """SHA-256 and number of bytes of a file, if it is known in the state that it has now."""
        place = self._next
        if place >= len(self._paths) or self._paths[place] != path:  # files mostly come in the same order
            place = self._places.get(path, -1)
            if place < 0:
                return None
        self._next = place + 1
        count, *known = self._numbers[place * _NUMBERS : (place + 1) * _NUMBERS]
        if tuple(known) != state:
            return None
        self._is_found[place] = 1
        return self._hashes[place * _SHA_DIGITS : (place + 1) * _SHA_DIGITS], count

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self._paths)}

    def add(self, path: str, state: FileState, sha256: str, count: int) -> None:
        """Enter a file that was read: its state before, its hash and the number of its bytes."""
        self._new_paths.append(path)
        self._new_numbers.extend((count, *state))
        self._new_hashes += bytes.fromhex(sha256)

    def save(self, *, is_complete: bool = True) -> None:
        """Write what is known; nothing is lost but time where that is not possible.

        Args:
            is_complete: whether all files have been looked for, so that those not found are forgotten.
        """
        is_found = np.frombuffer(self._is_found, dtype=bool)
        kept = np.flatnonzero(is_found) if is_complete else np.arange(len(is_found))
        if not self._new_paths and len(kept) == self._saved:
            mark_used(self._path)
            return
        paths = [*(self._paths[place] for place in kept.tolist()), *self._new_paths]
        old = np.frombuffer(self._numbers, dtype=np.int64).reshape(-1, _NUMBERS)[kept]
        own = np.frombuffer(bytes.fromhex(self._hashes), dtype=np.uint8).reshape(-1, _SHA_BYTES)[kept]
        new = np.frombuffer(bytes(self._new_hashes), dtype=np.uint8).reshape(-1, _SHA_BYTES)
        numbers = np.array(self._new_numbers, dtype=np.int64).reshape(-1, _NUMBERS)
        numbers, hashes = np.concatenate([old, numbers]), np.concatenate([own, new])
        remember(self._path, {"paths": joined(paths), "numbers": numbers, "hashes": hashes})


_Table = tuple[list[str], npt.NDArray[np.int64], bytes]


def _empty_table() -> _Table:
    return [], np.empty((0, _NUMBERS), dtype=np.int64), b""


def _read_table(path: Path) -> _Table:
    """Paths, numbers and hashes in a table; none if it is missing or damaged."""
    found = remembered(path, ("paths", "numbers", "hashes"))
    if found is None:
        return _empty_table()
    paths, numbers, hashes = divided(found[0]), found[1], found[2]
    rows = list(dict.fromkeys(paths))
    if numbers.shape != (len(paths), _NUMBERS) or hashes.shape != (len(paths), _SHA_BYTES):
        return _empty_table()
    if len(rows) < len(paths):  # a path that is several times in a table of the user
        place = {name: number for number, name in enumerate(paths)}
        chosen = np.array([place[name] for name in rows])
        numbers, hashes = numbers[chosen], hashes[chosen]
    return rows, numbers.astype(np.int64), hashes.astype(np.uint8).tobytes()


@dataclass(frozen=True)
class _FileRead:
    """A file that was read just now."""

    sha256: str
    count: int
    """Number of its bytes."""
    data: bytes | None
    """Its bytes, unless it is large."""
    state: FileState | None
    """The state that it had before; None if it could change again unnoticed."""


@dataclass(frozen=True)
class Reading:
    """How the files of a data set are read.

    Args:
        limits: limits of the loader.
        workers: number of threads.
        store: where the facts of images are.
        conditions: what failures depend on; see `RowStore.ensure`.
        examine: the facts of the image with a hash, from its bytes; without bytes, they are read.
        known_files: those that need not be read; new ones are entered.
    """

    limits: LoadLimits
    workers: int
    store: RowStore
    conditions: str
    examine: Callable[[str, bytes | None], Facts]
    known_files: KnownFiles

    def read(
        self, candidates: Sequence[Candidate], files: dict[str, str], meter: Meter
    ) -> tuple[list[str | None], dict[str, str]]:
        """Hash all files, and find out the facts of images that are read and have none yet.

        Args:
            candidates: the files.
            files: receives a file of each hash, from which `examine` may read.
            meter: counts the files.

        Returns:
            SHA-256 of each candidate, None for those that can't be read; and why, by their paths.
        """
        hashes: list[str | None] = [None] * len(candidates)
        reasons: dict[str, str] = {}
        unknown = self._find_known(candidates, hashes, reasons, files, meter)
        if unknown:
            self._read_unknown(candidates, unknown, hashes, reasons, files, meter)
        self.known_files.save()
        return hashes, reasons

    @collection_paused()
    def _find_known(
        self,
        candidates: Sequence[Candidate],
        hashes: list[str | None],
        reasons: dict[str, str],
        files: dict[str, str],
        meter: Meter,
    ) -> list[int]:
        """Enter the hashes of files that were read before; returns the numbers of those that were not."""
        unknown: list[int] = []
        for start in range(0, len(candidates), _COUNTED):
            some, before = candidates[start : start + _COUNTED], len(unknown)
            for number, candidate in enumerate(some, start):
                try:
                    sha = self._known(candidate)
                except ImageError as error:
                    reasons[candidate.path] = str(error)
                    continue
                if sha is None:
                    unknown.append(number)
                else:
                    hashes[number], files[sha] = sha, candidate.file
            meter.advance(len(some) - (len(unknown) - before))
        return unknown

    def _known(self, candidate: Candidate) -> str | None:
        """The hash of a file that was read before in its present state.

        Raises:
            ImageError: it is larger than the limit.
        """
        if foreign_by_name(candidate.path) is not None:
            return None  # whether it can be read depends on what is installed
        state = file_state(candidate.file)
        known = None if state is None else self.known_files.find(candidate.path, state)
        if known is None:
            return None
        check_size(known[1], self.limits)
        return known[0]

    def _read_unknown(
        self,
        candidates: Sequence[Candidate],
        unknown: Sequence[int],
        hashes: list[str | None],
        reasons: dict[str, str],
        files: dict[str, str],
        meter: Meter,
    ) -> None:
        waiting = _Waiting(self, meter)
        saved = time.monotonic()

        def read(number: int) -> tuple[int, _FileRead | ImageError]:
            try:
                return number, self._file(candidates[number].file)
            except ImageError as error:
                return number, error

        for number, found in in_order(read, unknown, workers=self.workers, ahead=4 * self.workers):
            candidate = candidates[number]
            if isinstance(found, ImageError):
                reasons[candidate.path] = str(found)
                meter.advance()
                continue
            hashes[number], files[found.sha256] = found.sha256, candidate.file
            if found.state is not None:
                self.known_files.add(candidate.path, found.state, found.sha256, found.count)
            waiting.add(found)
            if waiting.is_full():
                waiting.examine()
                if time.monotonic() - saved > _SAVED_EVERY_S:
                    self.known_files.save(is_complete=False)
                    saved = time.monotonic()
        waiting.examine()

    def _file(self, file: str) -> _FileRead:
        """Read a file.

        Raises:
            ImageError: it can't be read, or is of a format that is not.
        """
        if kind := foreign_file(file):  # a video may be too large to read
            raise ImageError(f"{kind.name}: not read")
        state = file_state(file)
        is_settled = state is not None and state.is_settled()
        data = read_file(file, self.limits)
        held = data if len(data) <= _LARGEST_HELD else None
        return _FileRead(sha256_of(data), len(data), held, state if is_settled else None)


class _Waiting:
    """Files that were read and wait until there are enough of them for some shards of facts."""

    def __init__(self, reading: Reading, meter: Meter) -> None:
        self._reading, self._meter = reading, meter
        self._known = reading.store.known(reading.conditions)
        self._data: dict[str, bytes | None] = {}
        self._bytes = 0

    def add(self, found: _FileRead) -> None:
        """Let a file wait, unless its facts are known."""
        if found.sha256 in self._known or found.sha256 in self._data:
            self._meter.advance()
            return
        has_room = found.data is not None and self._bytes + found.count <= _HELD_BYTES
        self._data[found.sha256] = found.data if has_room else None
        self._bytes += found.count if has_room else 0

    def is_full(self) -> bool:
        """Whether whole shards wait, and no more should."""
        count = len(self._data)
        is_much = count >= _MOST_HELD or self._bytes + _LARGEST_HELD > _HELD_BYTES
        return count > 0 and count % SHARD_ROWS == 0 and is_much

    def examine(self) -> None:
        """Find out the facts of those that wait; other processes may have found out some meanwhile."""
        reading = self._reading

        def examine(key: str) -> tuple[str, Facts]:
            return key, reading.examine(key, self._data.pop(key, None))

        def compute(keys: Sequence[str]) -> Iterator[tuple[str, Facts]]:
            return in_order(examine, keys, workers=reading.workers, ahead=4 * reading.workers)

        reading.store.fill(list(self._data), compute, self._known, self._meter)
        self._data, self._bytes = {}, 0
