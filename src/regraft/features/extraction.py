"""Extraction of features from images: decoding overlaps the forward pass, and nothing is computed twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.findings.image_set import FilesByHash, Images
from regraft.data.pictures.guards import reading_conditions
from regraft.data.pictures.loading import LOADER_VERSION, LoadLimits, Pixels, load_input, read_file
from regraft.errors import ImageError
from regraft.features.executors.executor import Executor, Shard
from regraft.features.executors.task import ExtractionTask, absolute
from regraft.features.runtimes import Row, Runtime
from regraft.machine.processor import count_cores
from regraft.parallel import in_order
from regraft.progress import Meter, Reporter, Silent
from regraft.records import Column, InputSpec, SkippedFile, width_of
from regraft.storage.files import key_of, sha256_of
from regraft.storage.places import cache_folder
from regraft.storage.rows import Rows, RowStore
from regraft.storage.shards import Failure, ShardSource, one_by_one

HALF_MAX = float(np.finfo(np.float16).max)
"""The largest number of half precision."""
_WAITING_BYTES = 256 << 20
_AHEAD = 8  # decoded images waiting per core: enough to keep it busy, at most 1 MB each


@dataclass(frozen=True)
class Features:
    """The features of a data set's images, on disk; they are read only when they are needed."""

    rows: Rows
    layout: tuple[Column, ...]
    skipped: tuple[SkippedFile, ...]
    """Images that were found to be unusable when they were fully decoded."""

    def matrix(self, keys: Sequence[str], columns: Sequence[Column]) -> npt.NDArray[np.float32]:
        """The given columns of the given images, `(len(keys), total width of columns) float32`."""
        parts = [self.rows.gather(keys, slice(start, stop)) for start, stop in _runs(columns)]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def stored(self, keys: Sequence[str], columns: Sequence[Column]) -> npt.NDArray[Any]:
        """The same in the precision of the store, which takes half of the memory."""
        runs = _runs(columns)
        if len(runs) == 1:
            return self.rows.gather(keys, slice(*runs[0]))
        result = np.empty((len(keys), width_of(columns)), dtype=self.rows.gather(keys[:1]).dtype)
        place = 0
        for start, stop in runs:
            result[:, place : place + stop - start] = self.rows.gather(keys, slice(start, stop))
            place += stop - start
        return result


def _runs(columns: Sequence[Column]) -> list[tuple[int, int]]:
    """Join neighbouring columns, so that each piece of a row is read once."""
    runs: list[tuple[int, int]] = []
    for column in columns:
        if runs and runs[-1][1] == column.start:
            runs[-1] = (runs[-1][0], column.stop)
        else:
            runs.append((column.start, column.stop))
    return runs


def feature_store(runtime: Runtime, spec: InputSpec) -> RowStore:
    """The store of one configuration's features; its key contains everything that their bits depend on."""
    facts = {
        "what": "features",
        "loader_version": LOADER_VERSION,
        "view": "centre",
        **runtime.facts,
        "input": spec.model_dump(),
    }
    folder = cache_folder() / "features" / key_of(facts)[:24]
    return RowStore(folder, width=runtime.width, dtype=np.float16, facts=facts)


def extract(
    images: Images,
    runtime: Runtime,
    spec: InputSpec,
    *,
    limits: LoadLimits | None = None,
    workers: int | None = None,
    decoded: dict[str, Pixels] | None = None,
    executor: Executor | None = None,
    reporter: Reporter | None = None,
) -> Features:
    """The features of all images after every stage, from the cache if they are there.

    Args:
        images: a scanned data set.
        runtime: computes features that are not in the cache.
        spec: the network's input.
        limits: limits of the loader.
        workers: number of decoding threads; None means one for each core.
        decoded: inputs that are decoded already, by content hash; they are removed as they are used.
        executor: carries out what is missing somewhere else, by the runtime's source; None computes it here.
        reporter: receives the progress.
    """
    reporter = reporter or Silent()
    limits = limits or LoadLimits()
    decoding = input_decoding(images, spec, limits, decoded)

    if executor is None:
        source = one_by_one(lambda keys: computed_rows(decoding, runtime, keys, workers or count_cores()))
    else:
        assert runtime.source is not None
        source = elsewhere(executor, runtime.source.task(runtime, spec, limits), decoding, reporter)
    rows = feature_store(runtime, spec).ensure_by(
        source,
        list(decoding.files),
        conditions=reading_conditions(limits),
        reporter=reporter,
        phase="extracting features",
    )
    reasons = {**rows.reasons, **decoding.reasons}
    skipped = tuple(
        SkippedFile(item.path, reasons.get(item.sha256, "its features could not be computed"))
        for item in images.items
        if item.sha256 not in rows
    )
    return Features(rows, runtime.layout, skipped)


def computed_rows(
    decoding: Decoding, runtime: Runtime, keys: Sequence[str], workers: int
) -> Iterator[tuple[str, npt.NDArray[np.float16] | Failure | None]]:
    """The rows of some images as they are kept, computed by this process; see `RowSource`."""
    for key, row in runtime.run(decoding.ahead(keys, workers)):
        if not np.isfinite(row).all():
            decoding.refuse(key, "the network's output for this image is NaN or infinite")
        else:
            yield key, as_half(row)
    yield from decoding.failures(keys)


def elsewhere(
    executor: Executor, task: ExtractionTask, decoding: Decoding, reporter: Reporter, *, view: int = 0
) -> ShardSource:
    """A source whose rows are computed by an executor's workers, which read the images themselves.

    Args:
        executor: hands out the work.
        task: how rows are computed.
        decoding: knows the files; the reasons of those that can't be read are added to it.
        reporter: receives what happens to workers.
        view: which view of the images is wanted.
    """

    def run(
        shards: Iterator[Sequence[str]], meter: Meter
    ) -> Iterator[tuple[Sequence[str], Iterator[tuple[str, Row | Failure | None]]]]:
        files = decoding.files
        work = (Shard(tuple(keys), tuple(absolute(files[key]) for key in keys), view) for keys in shards)
        for shard, done in executor.run(task, work, reporter, meter):
            decoding.reasons.update(done.unread)
            yield shard.keys, done.pairs()

    return run


def as_half(row: Row) -> npt.NDArray[np.float16]:
    """A row in half precision, as it is kept; values out of its range are clipped."""
    if row.dtype == np.float16:
        return row
    return np.clip(row, -HALF_MAX, HALF_MAX).astype(np.float16)


def input_decoding(
    images: Images, spec: InputSpec, limits: LoadLimits, ready: dict[str, Pixels] | None = None
) -> Decoding:
    """A decoder of a network's usual inputs."""
    return Decoding(images, lambda data, _: load_input(data, spec, limits), limits, ready)


def decode_while_waiting(
    decoding: Decoding, spec: InputSpec, opening: Future[Runtime], keys: Sequence[str] | None = None
) -> dict[str, Pixels]:
    """Decode inputs, at most 256 MB, while a runtime is being opened and cores would be idle.

    Args:
        decoding: decodes the inputs.
        spec: the network's input.
        opening: the runtime that is awaited.
        keys: SHA-256 of the images, in order; None means all, in the order in which they are extracted.
    """
    most = _WAITING_BYTES // math.prod(spec.shape)
    ready: dict[str, Pixels] = {}
    if not opening.done():
        first = nsmallest(most, decoding.files) if keys is None else keys[:most]
        for key, pixels in decoding.ahead(first, max(1, count_cores() - 1)):
            ready[key] = pixels
            if opening.done():
                break
    return ready


class Decoding:
    """Decodes the images of a data set by their content hash, and records why some can't be used.

    Args:
        images: the images of the data set.
        load: makes pixels from a file's bytes and hash.
        limits: limits of the loader.
        ready: pixels that are decoded already; they are removed as they are used.
    """

    def __init__(
        self,
        images: Images,
        load: Callable[[bytes, str], Pixels],
        limits: LoadLimits,
        ready: dict[str, Pixels] | None = None,
    ) -> None:
        self.files = FilesByHash(images.root, images.items)
        self.reasons: dict[str, str] = {}
        self._load, self._limits, self._ready = load, limits, {} if ready is None else ready
        self._lasting: set[str] = set()

    def ahead(self, keys: Sequence[str], workers: int) -> Iterator[tuple[str, Pixels]]:
        """Yield inputs in order, decoded by threads that work a little ahead."""
        for key, pixels in in_order(self.decode, keys, workers=workers, ahead=_AHEAD * workers):
            if pixels is not None:
                yield key, pixels

    def decode(self, key: str) -> tuple[str, Pixels | None]:
        """The key and its pixels; None for an image that can't be used, whose reason goes to `reasons`."""
        if key in self._ready:
            return key, self._ready.pop(key)
        try:
            data = read_file(self.files[key], self._limits)
            if sha256_of(data) != key:
                raise ImageError("changed while it was read")
        except ImageError as error:  # which says nothing about the image itself
            self.reasons[key] = str(error)
            return key, None
        try:
            return key, self._load(data, key)
        except ImageError as error:
            self.reasons[key] = str(error)
            if not isinstance(error.__cause__, MemoryError):
                self._lasting.add(key)
            return key, None

    def refuse(self, key: str, reason: str) -> None:
        """Record that an image can't be used although it could be decoded."""
        self.reasons[key] = reason
        self._lasting.add(key)

    def failures(self, keys: Sequence[str]) -> Iterator[tuple[str, Failure | None]]:
        """The images that can't be used, for the cache: a `Failure` if nothing is gained by trying again."""
        for key in keys:
            if key in self.reasons:
                yield key, Failure(self.reasons[key]) if key in self._lasting else None
