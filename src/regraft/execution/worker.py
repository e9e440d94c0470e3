"""A worker: opens a task of extraction, compares its machine with what it expects, and computes shards."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from regraft.data.findings.image_set import Images
from regraft.errors import ExecutionError
from regraft.features.activations import ViewRows, view_decoding
from regraft.features.executors.executor import Shard, ShardRows
from regraft.features.executors.task import ExtractionTask, read_task
from regraft.features.extraction import Decoding, computed_rows, input_decoding
from regraft.features.opening import open_moments, open_runtime
from regraft.features.runtimes import Runtime
from regraft.machine.processor import count_cores
from regraft.progress import Silent
from regraft.records import ImageItem
from regraft.storage.files import sha256_of_file
from regraft.storage.shards import Array, Failure


class Worker:
    """Computes the rows of shards in this process.

    Args:
        task: how rows are computed.
        name: what the worker is called in messages.
        is_mixed: whether rows of other bits than the task expects are accepted.

    Raises:
        MachineError: this machine would compute other bits than the task expects.
        ExecutionError: the weights can't be read here, or are others.
    """

    def __init__(self, task: ExtractionTask, *, name: str = "this machine", is_mixed: bool = False) -> None:
        self._task = task
        self._threads = task.threads or count_cores()
        self._runtime = opened(task, name=name)
        if not is_mixed:
            task.check(self._runtime.facts, where=name)

    def compute(self, shard: Shard) -> ShardRows:
        """The rows of a shard, and the reasons of the images that have none."""
        decoding = decoding_of(shard, self._task)
        computed: Iterable[tuple[str, Array | Failure | None]]
        if self._task.views is None:
            computed = computed_rows(decoding, self._runtime, shard.keys, self._threads)
        else:
            how = ViewRows(self._runtime, self._task.views, shard.view, self._threads)
            computed = how.computed(decoding, shard.keys)
        place = {key: number for number, key in enumerate(shard.keys)}
        rows = np.empty((len(shard), self._task.width), dtype=np.float16)
        done = np.zeros(len(shard), dtype=bool)
        failed: dict[str, str] = {}
        for key, row in computed:
            if isinstance(row, Failure):
                failed[key] = row.reason
            elif row is not None:
                rows[place[key]] = row
                done[place[key]] = True
        kept = tuple(key for key, is_done in zip(shard.keys, done, strict=True) if is_done)
        unread = {key: reason for key, reason in decoding.reasons.items() if key not in failed}
        return ShardRows(kept, rows if done.all() else rows[done], failed, unread)


def open_worker(task: str, *, name: str, is_mixed: bool) -> Worker:
    """A worker for the text of a task of extraction; see `Opener`."""
    return Worker(read_task(task, ExtractionTask), name=name, is_mixed=is_mixed)


def opened(task: ExtractionTask, *, name: str) -> Runtime:
    """The runtime that a task describes, on this machine.

    Raises:
        ExecutionError: the weights can't be read here, or are others.
    """
    weights = task.found_weights()
    try:
        sha256 = sha256_of_file(weights.path)
    except OSError as error:
        raise ExecutionError(
            f"{name} can't read the weights {weights.path}: {error.strerror or error}. Put them where all "
            "machines find them under the same path, and name that folder with --weights"
        ) from error
    if sha256 != weights.sha256:
        raise ExecutionError(
            f"{name} has other weights at {weights.path}: sha256 {sha256[:16]}…, expected "
            f"{weights.sha256[:16]}…. Copy the same file to all machines"
        )
    if task.output == "moments":
        return open_moments(weights, name=task.runtime, device=task.device)
    return open_runtime(
        weights,
        name=task.runtime,
        precision=task.precision,
        device=task.device,
        cut=task.cut,
        threads=task.threads,
        reporter=Silent(),
    )


def decoding_of(shard: Shard, task: ExtractionTask) -> Decoding:
    """A decoder of a shard's images, which may be files in archives."""
    items = tuple(ImageItem(path, "", key) for key, path in zip(shard.keys, shard.paths, strict=True))
    images = Images(str(Path(shard.paths[0]).anchor), items)
    if task.views is None:
        return input_decoding(images, task.input, task.limits)
    return view_decoding(images, task.input, task.views, shard.view, task.limits)
