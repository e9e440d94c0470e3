"""A task on the digits, its shards, and a runtime that computes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from regraft.data.findings.image_set import Images
from regraft.data.pictures.loading import LoadLimits
from regraft.features.executors.executor import Shard
from regraft.features.executors.task import ExtractionTask
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.networks.weights.finding import find_weights


def lenet_task(*, at: int | None = None, **changes: object) -> ExtractionTask:
    """How LeNet's features, or its activations at a cut, are computed here."""
    runtime = OpenVinoRuntime(find_weights("lenet5"), cut=at)
    assert runtime.source is not None
    task = runtime.source.task(runtime, runtime.source.weights.input_spec, LoadLimits())
    return task.model_copy(update=changes)


def shards_of(images: Images, rows: int) -> Iterator[Shard]:
    """The images in shards of some rows."""
    for start in range(0, len(images.items), rows):
        items = images.items[start : start + rows]
        paths = tuple(str(Path(images.root, item.path).absolute()) for item in items)
        yield Shard(tuple(item.sha256 for item in items), paths)


def by_key(keys: tuple[str, ...], rows: np.ndarray) -> dict[str, bytes]:
    """The bits of each row."""
    return {key: row.tobytes() for key, row in zip(keys, rows, strict=True)}
