from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from regraft.errors import ExecutionError, MachineError
from regraft.execution import ray_executor
from regraft.execution.ray_executor import RayExecutor, _Crew
from regraft.execution.worker import Worker
from regraft.features.executors.executor import Shard, ShardRows
from regraft.features.executors.task import ExtractionTask
from regraft.progress import Silent
from regraft.workflow.check import load_images
from tests.execution.examples import lenet_task, shards_of


class DeathError(Exception):
    """Stands for Ray's error about an actor that died."""


class FailureError(Exception):
    """Stands for Ray's error about an error in an actor."""

    cause = None


class InProcess:
    """As much of Ray as the executor needs, in this process; actors die of some images."""

    exceptions = SimpleNamespace(RayTaskError=FailureError, RayError=DeathError)

    def __init__(self, *, poison: Sequence[str] = (), cores: int = 2, die_opening: bool = False) -> None:
        self.poison, self.cores, self.die_opening = set(poison), cores, die_opening
        self.alive, self.hired = 0, 0

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cores)}

    def remote(self, **needs: int) -> Callable[[type], Any]:
        assert needs["max_restarts"] == needs["max_task_retries"] == 0
        return lambda kind: SimpleNamespace(remote=lambda: self._hired(kind()))

    def _hired(self, actor: Any) -> Any:
        self.alive, self.hired = self.alive + 1, self.hired + 1
        methods = {name: SimpleNamespace(remote=functools.partial(self._later, actor, name))
                   for name in ("open", "compute")}  # fmt: skip
        return SimpleNamespace(**methods)

    def _later(self, actor: Any, name: str, *arguments: Any) -> Any:
        return functools.partial(self._carried_out, actor, name, *arguments)

    def _carried_out(self, actor: Any, name: str, *arguments: Any) -> Any:
        if self.die_opening or any(key in arguments[0] for key in self.poison):
            raise DeathError
        return getattr(actor, name)(*arguments)

    def wait(self, refs: list[Any], *, num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return refs[-1:], refs[:-1]

    def get(self, ref: Callable[[], Any]) -> Any:
        return ref()

    def kill(self, actor: Any) -> None:
        self.alive -= 1


class Numbers:
    """A worker whose rows are the first digits of the keys."""

    def __init__(self, task: ExtractionTask, *, name: str, is_mixed: bool) -> None:
        self.width = task.width

    def compute(self, shard: Shard) -> ShardRows:
        rows = [np.full(self.width, int(key[-4:]), np.float16) for key in shard.keys]
        return ShardRows(shard.keys, np.array(rows))


@pytest.fixture
def task(warm_cache: Path, monkeypatch: pytest.MonkeyPatch) -> ExtractionTask:
    monkeypatch.setattr(ray_executor, "Worker", Numbers)
    return lenet_task(width=3, threads=1)


def numbered(count: int, rows: int) -> Iterator[Shard]:
    keys = [f"{number:064}" for number in range(count)]
    for start in range(0, count, rows):
        part = tuple(keys[start : start + rows])
        yield Shard(part, tuple(f"/images/{key}" for key in part))


def carried_out(ray: InProcess, task: ExtractionTask, shards: Iterator[Shard]) -> dict[str, str | float]:
    """The row's number, or the reason, of each image; each shard comes back once."""
    crew = _Crew(ray, task, False, Silent())
    found: dict[str, str | float] = {}
    for shard, rows in crew.results(shards):
        assert not set(shard.keys) & set(found)
        assert set(shard.keys) == {*rows.keys, *rows.failed}
        found |= {key: float(row[0]) for key, row in zip(rows.keys, rows.rows, strict=True)}
        found |= rows.failed
    crew.dismiss()
    assert ray.alive == 0
    return found


def test_every_shard_comes_back_whole(task: ExtractionTask) -> None:
    ray = InProcess()
    found = carried_out(ray, task, numbered(45, 10))
    assert found == {f"{number:064}": number for number in range(45)}
    assert ray.hired == 2


def test_no_more_workers_are_hired_than_there_is_work(task: ExtractionTask) -> None:
    ray = InProcess(cores=8)
    carried_out(ray, task, numbered(20, 10))
    assert ray.hired == 2


def test_shards_are_taken_only_when_somebody_can_compute_them(task: ExtractionTask) -> None:
    taken = 0

    def counted() -> Iterator[Shard]:
        nonlocal taken
        for shard in numbered(100, 10):
            taken += 1
            yield shard

    crew = _Crew(InProcess(), task, False, Silent())
    for done, _ in enumerate(crew.results(counted())):
        assert taken <= done + 2


def test_an_image_that_kills_its_workers_is_left_out_with_the_reason(task: ExtractionTask) -> None:
    bad = f"{17:064}"
    found = carried_out(InProcess(poison=[bad]), task, numbered(45, 10))
    assert found.pop(bad) == "3 workers died while they computed this image"
    assert found == {f"{number:064}": number for number in range(45) if number != 17}


def test_workers_that_die_while_they_open_the_network_end_the_run(task: ExtractionTask) -> None:
    with pytest.raises(ExecutionError, match="3 workers died one after the other"):
        carried_out(InProcess(die_opening=True), task, numbered(45, 10))


def test_a_cluster_without_enough_cores_is_refused(task: ExtractionTask) -> None:
    with pytest.raises(ExecutionError, match=r"needs 4 processor cores.*'CPU': 2"):
        _Crew(InProcess(), task.model_copy(update={"threads": 4}), False, Silent())


def test_a_machine_of_another_kind_ends_the_run(warm_cache: Path) -> None:
    task = lenet_task(threads=1)
    other = task.model_copy(update={"facts": {**task.facts, "cpu": "Another"}})
    with pytest.raises(MachineError, match=r'worker 1 \(process .*expected "Another"'):
        carried_out(InProcess(cores=1), other, numbered(3, 2))


@pytest.mark.slow
@pytest.mark.children
def test_actors_of_ray_compute_the_bits_of_a_single_process(photos: Path, warm_cache: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed (the extra ray)")
    images, task = load_images(photos), lenet_task()
    try:
        done = list(RayExecutor().run(task, shards_of(images, 6), Silent()))
    finally:
        importlib.import_module("ray").shutdown()
    worker = Worker(task)
    assert len(done) == 4
    for shard, rows in done:
        assert rows.rows.tobytes() == worker.compute(shard).rows.tobytes()
