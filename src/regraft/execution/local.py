"""Shards computed by this process, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from regraft.execution.worker import open_worker
from regraft.features.executors.executor import Opener, Shard, ShardRows, ShardWorker
from regraft.features.executors.task import Task
from regraft.progress import Meter, Reporter


@dataclass(frozen=True)
class LocalExecutor:
    """Computes each shard before it takes the next, by a worker that is opened for the first of them.

    A fit without an executor does the same with the runtime that it has opened already, and the bits are
    equal. This one needs nothing but the task, as a worker on another machine does.
    """

    is_mixed: bool = False
    """Whether rows of other bits than the task expects are accepted."""
    opener: Opener = open_worker
    """Makes the worker of a task."""

    def run(
        self,
        task: Task,
        shards: Iterator[Shard],
        reporter: Reporter,  # noqa: ARG002  (nothing happens to a worker that is this process)
        meter: Meter,
    ) -> Iterator[tuple[Shard, ShardRows]]:
        worker: ShardWorker | None = None
        for shard in shards:
            worker = worker or self.opener(task.to_json(), name="this machine", is_mixed=self.is_mixed)
            yield shard, worker.compute(shard)
            meter.advance(len(shard))
