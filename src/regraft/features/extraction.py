"""From images to features: decode and forward pass overlapped, and nothing computed twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft import storage
from regraft.data.loading import LOADER_VERSION, LoadLimits, Pixels, load_input, read_file
from regraft.data.scan import in_order
from regraft.errors import ImageError
from regraft.features.runtimes import Row, Runtime
from regraft.progress import Reporter, Silent
from regraft.records import Column, Images, InputSpec, SkippedFile
from regraft.rowstore import Rows, RowStore

_HALF_MAX = float(np.finfo(np.float16).max)
_WAITING_BYTES = 256 << 20
_AHEAD = 8  # decoded images waiting for each core: enough to never starve, 1 MB each at most


@dataclass(frozen=True)
class Features:
    """The features of a data set's images, on disk; read only where they are asked for."""

    rows: Rows
    layout: tuple[Column, ...]
    skipped: tuple[SkippedFile, ...]
    """Images that turned out to be unusable only when fully decoded."""

    def matrix(self, keys: Sequence[str], columns: Sequence[Column]) -> npt.NDArray[np.float32]:
        """`(len(keys), total width of columns) float32`."""
        parts = [self.rows.gather(keys, slice(start, stop)) for start, stop in _runs(columns)]
        return np.concatenate(parts, axis=1, dtype=np.float32)


def _runs(columns: Sequence[Column]) -> list[tuple[int, int]]:
    """Neighbouring columns joined, so that each piece of a row is read once."""
    runs: list[tuple[int, int]] = []
    for column in columns:
        if runs and runs[-1][1] == column.start:
            runs[-1] = (runs[-1][0], column.stop)
        else:
            runs.append((column.start, column.stop))
    return runs


def feature_store(runtime: Runtime, spec: InputSpec) -> RowStore:
    """Where the features of one configuration are kept: its key holds all that their bits depend on."""
    facts = {
        "what": "features",
        "loader_version": LOADER_VERSION,
        "view": "centre",
        "input": spec.model_dump(),
        **runtime.facts,
    }
    folder = storage.cache_folder() / "features" / storage.key_of(facts)[:24]
    return RowStore(folder, width=runtime.width, dtype=np.float16, facts=facts)


def extract(
    images: Images,
    runtime: Runtime,
    spec: InputSpec,
    *,
    limits: LoadLimits | None = None,
    workers: int | None = None,
    decoded: dict[str, Pixels] | None = None,
    reporter: Reporter | None = None,
) -> Features:
    """The features of all images after every stage, from the cache where they are known.

    Args:
        images: a scanned data set.
        runtime: computes what the cache lacks.
        spec: the network's input.
        limits: of the loader.
        workers: decoding threads; None means one for each core.
        decoded: inputs that are ready, by content hash; they are taken out as they are used.
        reporter: is told how far it is.
    """
    reporter = reporter or Silent()
    bounds = limits or LoadLimits()
    job = Decoding(images, lambda data, _: load_input(data, spec, bounds), bounds, decoded)
    reasons = job.reasons

    def compute(keys: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[np.float16] | None]]:
        for key, row in runtime.run(job.ahead(keys, workers or os.cpu_count() or 1)):
            if not np.isfinite(row).all():
                reasons[key] = "the network's output is not finite for it"
            else:
                yield key, as_half(row)
        for key in keys:
            if key in reasons:
                yield key, None

    store = feature_store(runtime, spec)
    rows = store.ensure(list(job.files), compute, reporter=reporter, phase="extracting features")
    skipped = tuple(
        SkippedFile(item.path, reasons.get(item.sha256, "no features"))
        for item in images.items
        if item.sha256 not in rows
    )
    return Features(rows, runtime.layout, skipped)


def as_half(row: Row) -> npt.NDArray[np.float16]:
    """A row as it is kept: half precision, the few larger values at its bounds."""
    return np.clip(row, -_HALF_MAX, _HALF_MAX).astype(np.float16)


def decode_while_waiting(
    images: Images, spec: InputSpec, opening: Future[Runtime], *, limits: LoadLimits | None = None
) -> dict[str, Pixels]:
    """Inputs decoded while a runtime gets ready, at most 256 MB: one core has nothing better to do."""
    bounds = limits or LoadLimits()
    job = Decoding(images, lambda data, _: load_input(data, spec, bounds), bounds)
    most = _WAITING_BYTES // (spec.size_px**2 * spec.channels)
    ready: dict[str, Pixels] = {}
    if not opening.done():
        for key, pixels in job.ahead(list(job.files)[:most], max(1, (os.cpu_count() or 1) - 1)):
            ready[key] = pixels
            if opening.done():
                break
    return ready


class Decoding:
    """Decodes the images of a data set by their content hash, and remembers why some could not be.

    Args:
        images: which there are.
        load: from a file's bytes and hash to pixels.
        limits: of the loader.
        ready: pixels that need not be decoded; they are taken out as they are used.
    """

    def __init__(
        self,
        images: Images,
        load: Callable[[bytes, str], Pixels],
        limits: LoadLimits,
        ready: dict[str, Pixels] | None = None,
    ) -> None:
        self.files = {item.sha256: Path(images.root, item.path) for item in images.items}
        self.reasons: dict[str, str] = {}
        self._load, self._limits, self._ready = load, limits, {} if ready is None else ready

    def ahead(self, keys: Sequence[str], workers: int) -> Iterator[tuple[str, Pixels]]:
        """Inputs in order, decoded in threads a little ahead of whoever takes them."""
        for key, pixels in in_order(self.decode, keys, workers=workers, ahead=_AHEAD * workers):
            if pixels is not None:
                yield key, pixels

    def decode(self, key: str) -> tuple[str, Pixels | None]:
        """The key and its pixels; None for an image that can't be used, with its reason in `reasons`."""
        if key in self._ready:
            return key, self._ready.pop(key)
        try:
            data = read_file(self.files[key], self._limits)
            if storage.sha256_of(data) != key:
                raise ImageError("changed while it was read")
            return key, self._load(data, key)
        except ImageError as error:
            self.reasons[key] = str(error)
            return key, None
