from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import regraft
from regraft.execution.local import LocalExecutor
from regraft.features.executors.executor import Shard, ShardRows
from regraft.features.executors.task import ExtractionTask, Task
from regraft.progress import Meter, Reporter, Silent
from regraft.workflow import preparation


def test_a_fit_has_its_features_computed_by_the_executor(
    photos: Path, warm_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []

    class Noting(LocalExecutor):
        def run(
            self, task: Task, shards: Iterator[Shard], reporter: Reporter, meter: Meter
        ) -> Iterator[tuple[Shard, ShardRows]]:
            for shard, rows in super().run(task, shards, reporter, meter):
                computed.append(len(shard))
                yield shard, rows

    monkeypatch.setattr(preparation, "find_executor", {"ray": Noting()}.get)
    model = regraft.fit(photos, network="lenet5", strategy="probe", executor="ray")
    assert computed == [24]
    assert model.scores is not None


def test_nothing_is_opened_where_nothing_is_missing(warm_cache: Path) -> None:
    nothing: Iterator[Shard] = iter(())
    task = ExtractionTask.model_construct(network="no such network")
    assert list(LocalExecutor().run(task, nothing, Silent(), Silent())) == []
