from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from regraft.data.pictures.views import ViewPolicy
from regraft.errors import ExecutionError, MachineError
from regraft.execution import crew as crews
from regraft.execution import ray_executor
from regraft.execution.crew import Crew
from regraft.execution.ray_executor import Cluster, RayExecutor, cluster_at
from regraft.execution.worker import Worker, open_worker
from regraft.features.executors.executor import Shard, ShardRows
from regraft.features.executors.task import ExtractionTask, read_task
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
        if self.die_opening or any(key in str(arguments[0]) for key in self.poison):
            raise DeathError
        return getattr(actor, name)(*arguments)

    def wait(self, refs: list[Any], *, num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        return refs[-1:], refs[:-1]

    def get(self, ref: Callable[[], Any]) -> Any:
        return ref()

    def kill(self, actor: Any) -> None:
        self.alive -= 1


class Numbers:
    """A worker whose rows are the last digits of the keys."""

    def __init__(self, task: str, *, name: str, is_mixed: bool) -> None:
        self.width = read_task(task, ExtractionTask).width

    def compute(self, shard: Shard) -> ShardRows:
        rows = [np.full(self.width, int(key[-4:]), np.float16) for key in shard.keys]
        return ShardRows(shard.keys, np.array(rows))


@pytest.fixture
def task(warm_cache: Path) -> ExtractionTask:
    return lenet_task(width=3, threads=1)


def numbered(count: int, rows: int) -> Iterator[Shard]:
    keys = [f"{number:064}" for number in range(count)]
    for start in range(0, count, rows):
        part = tuple(keys[start : start + rows])
        yield Shard(part, tuple(f"/images/{key}" for key in part))


class Counter(Silent):
    """A meter that can be read."""

    count = 0

    def advance(self, count: int = 1) -> None:
        self.count += count


def carried_out(ray: InProcess, task: ExtractionTask, shards: Iterator[Shard]) -> dict[str, str | float]:
    """The row's number, or the reason, of each image; each shard comes back once, and each image counts."""
    crew = Crew(ray, task, Numbers, False)
    found = results_of(crew, shards)
    crew.dismiss()
    assert ray.alive == 0
    return found


def results_of(crew: Crew, shards: Iterator[Shard]) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    meter = Counter()
    for shard, rows in crew.results(shards, Silent(), meter):
        assert not set(shard.keys) & set(found)
        assert set(shard.keys) == {*rows.keys, *rows.failed}
        found |= {key: float(row[0]) for key, row in zip(rows.keys, rows.rows, strict=True)}
        found |= rows.failed
    assert meter.count == len(found)
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

    crew = Crew(InProcess(), task, Numbers, False)
    for done, _ in enumerate(crew.results(counted(), Silent(), Silent())):
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
        Crew(InProcess(), task.model_copy(update={"threads": 4}), Numbers, False)


def test_a_machine_of_another_kind_ends_the_run(warm_cache: Path) -> None:
    task = lenet_task(threads=1)
    other = task.model_copy(update={"facts": {**task.facts, "cpu": "Another"}})
    with pytest.raises(MachineError, match=r'worker 1 \(process .*expected "Another"'):
        list(Crew(InProcess(cores=1), other, open_worker, False).results(numbered(3, 2), Silent(), Silent()))


def test_the_images_of_a_shard_are_divided_among_the_actors(
    task: ExtractionTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crews, "PART_ROWS", 10)
    ray = InProcess(cores=4)
    found = carried_out(ray, task, numbered(100, 50))
    assert found == {f"{number:064}": number for number in range(100)}
    assert ray.hired == 4


def test_actors_are_kept_for_the_next_task(task: ExtractionTask) -> None:
    ray = InProcess(cores=1)
    crew = Crew(ray, task, Numbers, False)
    results_of(crew, numbered(45, 10))
    wider = task.model_copy(update={"width": 5})
    assert crew.turn_to(wider, Numbers, is_mixed=False)
    for _, rows in crew.results(numbered(45, 10), Silent(), Silent()):
        assert rows.rows.shape[1] == 5
    assert ray.hired == 1


def test_actors_that_a_task_can_not_use_are_ended(task: ExtractionTask) -> None:
    ray = InProcess()
    crew = Crew(ray, task, Numbers, False)
    results_of(crew, numbered(45, 10))
    assert not crew.turn_to(task.model_copy(update={"threads": 2}), Numbers, is_mixed=False)
    assert ray.alive == 0


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> tuple[InProcess, Cluster]:
    ray = InProcess()
    monkeypatch.setattr(ray_executor, "connected", lambda *_: ray)
    monkeypatch.setattr(ray_executor, "_is_connected", lambda: True)
    monkeypatch.setattr(ray_executor, "cluster_at", {None: (one := Cluster(None))}.get)
    return ray, one


def test_two_runs_share_their_actors_until_they_are_released(
    task: ExtractionTask, cluster: tuple[InProcess, Cluster]
) -> None:
    ray, one = cluster
    for _ in range(2):
        done = list(RayExecutor(opener=Numbers).run(task, numbered(45, 10), Silent(), Silent()))
        assert len(done) == 5
    assert (ray.hired, ray.alive) == (2, 2)
    one.release()
    assert ray.alive == 0


def test_actors_of_a_run_that_is_left_in_the_middle_are_ended(
    task: ExtractionTask, cluster: tuple[InProcess, Cluster]
) -> None:
    ray, _ = cluster
    run = RayExecutor(opener=Numbers).run(task, numbered(45, 10), Silent(), Silent())
    next(run)
    run.close()
    assert ray.alive == 0


@pytest.mark.slow
@pytest.mark.children
def test_actors_of_ray_compute_the_bits_of_a_single_process(photos: Path, warm_cache: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed (the extra ray)")
    images, task = load_images(photos), lenet_task()
    at_cut = lenet_task(at=2, views=ViewPolicy("crop-flip"))
    views = [replace(one, view=2) for one in shards_of(images, 12)]
    try:
        done = list(RayExecutor().run(task, shards_of(images, 6), Silent(), Silent()))
        cut = list(RayExecutor().run(at_cut, iter(views), Silent(), Silent()))
        cluster_at(None).release()
    finally:
        importlib.import_module("ray").shutdown()
    worker = Worker(task)
    assert len(done) == 4
    for shard, rows in done:
        assert rows.rows.tobytes() == worker.compute(shard).rows.tobytes()
    worker = Worker(at_cut)
    for shard, rows in cut:
        assert rows.rows.tobytes() == worker.compute(shard).rows.tobytes()
