from __future__ import annotations

from pathlib import Path

import pytest

from regraft.errors import ExecutionError, MachineError
from regraft.execution.local import LocalExecutor
from regraft.execution.worker import Worker
from regraft.features.executors.executor import Shard, shard_in
from regraft.features.executors.task import ExtractionTask, read_task
from regraft.features.extraction import extract
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from regraft.workflow.check import load_images
from tests.execution.examples import by_key, lenet_task, shards_of


def test_a_task_survives_as_text(warm_cache: Path) -> None:
    task = lenet_task(cut=2, threads=3)
    assert read_task(task.to_json(), ExtractionTask) == task


@pytest.mark.parametrize("text", ["{", "[1]", '{"network": "lenet5"}'], ids=["cut", "list", "incomplete"])
def test_a_text_that_is_no_task_is_refused(text: str) -> None:
    with pytest.raises(ExecutionError, match="not a task of feature extraction"):
        read_task(text, ExtractionTask)


def test_a_shard_with_a_name_that_is_not_unicode_survives_as_text() -> None:
    shard = Shard(("a" * 64,), ("/photos/\udcff.png",), view=3)
    assert shard_in(shard.to_json()) == shard


def test_a_worker_computes_the_bits_of_a_single_process(photos: Path, warm_cache: Path) -> None:
    images = load_images(photos)
    weights = find_weights("lenet5")
    features = extract(images, OpenVinoRuntime(weights), weights.input_spec)
    done = list(LocalExecutor().run(lenet_task(threads=1), shards_of(images, 7), Silent(), Silent()))
    found = {key: row for _, rows in done for key, row in by_key(rows.keys, rows.rows).items()}
    keys = tuple(found)
    assert len(done) == 4
    assert set(keys) == {item.sha256 for item in images.items}
    assert found == by_key(keys, features.rows.gather(keys))


def test_images_that_have_no_row_have_a_reason(photos: Path, warm_cache: Path) -> None:
    images = load_images(photos)
    (shard,) = shards_of(images, 24)
    Path(shard.paths[3]).unlink()
    done = Worker(lenet_task()).compute(shard)
    assert set(done.keys) == set(shard.keys) - {shard.keys[3]}
    assert list(done.unread) == [shard.keys[3]]
    assert "No such file" in done.unread[shard.keys[3]]


def test_an_extraction_by_an_executor_fills_the_same_cache(photos: Path, warm_cache: Path) -> None:
    images, weights = load_images(photos), find_weights("lenet5")
    (photos / "dark" / "0.png").unlink()
    features = extract(images, OpenVinoRuntime(weights), weights.input_spec, executor=LocalExecutor())
    assert [file.path for file in features.skipped] == ["dark/0.png"]
    assert "No such file" in features.skipped[0].reason
    again = extract(images, OpenVinoRuntime(weights), weights.input_spec)
    keys = [item.sha256 for item in images.items if item.path != "dark/0.png"]
    assert by_key(tuple(keys), again.rows.gather(keys)) == by_key(tuple(keys), features.rows.gather(keys))


def test_a_machine_that_computes_other_bits_is_refused_with_both_values(warm_cache: Path) -> None:
    task = lenet_task()
    other = task.model_copy(update={"facts": {**task.facts, "cpu": "Another CPU/6/1/2"}})
    with pytest.raises(MachineError, match=r'node b .*cpu: expected "Another CPU/6/1/2", found ".+"'):
        Worker(other, name="node b")
    Worker(other, name="node b", is_mixed=True)


def test_another_version_of_regraft_is_refused(warm_cache: Path) -> None:
    with pytest.raises(MachineError, match=r"begun with regraft 0\.0\.1; install the same version"):
        Worker(lenet_task(version="0.0.1"))


def test_weights_that_are_missing_or_others_are_refused(tmp_path: Path, warm_cache: Path) -> None:
    with pytest.raises(ExecutionError, match=r"can't read the weights .*gone\.safetensors"):
        Worker(lenet_task(weights=str(tmp_path / "gone.safetensors")))
    with pytest.raises(ExecutionError, match="has other weights"):
        Worker(lenet_task(weights_sha256="0" * 64))
