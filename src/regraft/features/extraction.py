"""From images to features: decode and forward pass overlapped, and nothing computed twice."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft import storage
from regraft.data.loading import LOADER_VERSION, LoadLimits, Pixels, load_input, read_file
from regraft.data.scan import in_order
from regraft.errors import ImageError
from regraft.features.runtimes import Runtime
from regraft.progress import Reporter, Silent
from regraft.records import Column, Images, InputSpec, SkippedFile
from regraft.rowstore import Rows, RowStore

_HALF_MAX = float(np.finfo(np.float16).max)
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
    width = runtime.layout[-1].stop
    folder = storage.cache_folder() / "features" / storage.key_of(facts)[:24]
    return RowStore(folder, width=width, dtype=np.float16, facts=facts)


def extract(
    images: Images,
    runtime: Runtime,
    spec: InputSpec,
    *,
    limits: LoadLimits | None = None,
    workers: int | None = None,
    reporter: Reporter | None = None,
) -> Features:
    """The features of all images after every stage, from the cache where they are known.

    Args:
        images: a scanned data set.
        runtime: computes what the cache lacks.
        spec: the network's input.
        limits: of the loader.
        workers: decoding threads; None means one for each core.
        reporter: is told how far it is.
    """
    reporter = reporter or Silent()
    files = {item.sha256: Path(images.root, item.path) for item in images.items}
    reasons: dict[str, str] = {}

    def compute(keys: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[np.float16] | None]]:
        decoded = _decode_ahead(keys, files, spec, limits, reasons, workers)
        for key, row in runtime.run(decoded):
            if not np.isfinite(row).all():
                reasons[key] = "the network's output is not finite for it"
            else:
                yield key, np.clip(row, -_HALF_MAX, _HALF_MAX).astype(np.float16)
        for key in keys:
            if key in reasons:
                yield key, None

    store = feature_store(runtime, spec)
    rows = store.ensure(list(files), compute, reporter=reporter, phase="extracting features")
    skipped = tuple(
        SkippedFile(item.path, reasons.get(item.sha256, "no features"))
        for item in images.items
        if item.sha256 not in rows
    )
    return Features(rows, runtime.layout, skipped)


def _decode_ahead(
    keys: Sequence[str],
    files: Mapping[str, Path],
    spec: InputSpec,
    limits: LoadLimits | None,
    reasons: dict[str, str],
    workers: int | None,
) -> Iterator[tuple[str, Pixels]]:
    threads = workers or os.cpu_count() or 1

    def decode(key: str) -> tuple[str, Pixels | None]:
        try:
            data = read_file(files[key], limits)
            if storage.sha256_of(data) != key:
                raise ImageError("changed while it was read")
            return key, load_input(data, spec, limits)
        except ImageError as error:
            reasons[key] = str(error)
            return key, None

    for key, pixels in in_order(decode, keys, workers=threads, ahead=_AHEAD * threads):
        if pixels is not None:
            yield key, pixels
