"""Shards computed by this process, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from regraft.execution.worker import Worker
from regraft.features.executors.executor import Shard, ShardRows
from regraft.features.executors.task import ExtractionTask
from regraft.progress import Reporter


@dataclass(frozen=True)
class LocalExecutor:
    """Computes each shard before it takes the next, by a worker that is opened for the first of them.

    A fit without an executor does the same with the runtime that it has opened already, and the bits are
    equal. This one needs nothing but the task, as a worker on another machine does.
    """

    is_mixed: bool = False
    """Whether rows of other bits than the task expects are accepted."""

    def run(
        self,
        task: ExtractionTask,
        shards: Iterator[Shard],
        reporter: Reporter,  # noqa: ARG002  (nothing happens to a worker that is this process)
    ) -> Iterator[tuple[Shard, ShardRows]]:
        worker: Worker | None = None
        for shard in shards:
            worker = worker or Worker(task, is_mixed=self.is_mixed)
            yield shard, worker.compute(shard)
