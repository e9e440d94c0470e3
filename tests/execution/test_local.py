from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import regraft
from regraft.execution.local import LocalExecutor
from regraft.features.executors.executor import Shard, ShardRows
from regraft.features.executors.task import ExtractionTask, Task
from regraft.networks.weights.finding import find_weights
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import extract_name
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


def test_what_others_need_for_features_is_not_learnt_as_the_time_of_this_machine(
    photos: Path, warm_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(LocalExecutor):
        def run(
            self, task: Task, shards: Iterator[Shard], reporter: Reporter, meter: Meter
        ) -> Iterator[tuple[Shard, ShardRows]]:
            time.sleep(0.1)  # so that 24 images take long enough to be learnt
            yield from super().run(task, shards, reporter, meter)

    name = extract_name(find_weights("lenet5"), "openvino", "fp32")
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "find_executor", {"ray": Slow()}.get)
        regraft.fit(photos, network="lenet5", budget="1s", executor="ray")
    assert name not in CostBook()
