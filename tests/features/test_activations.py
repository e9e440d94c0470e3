from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import regraft
from regraft.data.pictures.views import ViewPolicy
from regraft.errors import DataError
from regraft.execution.local import LocalExecutor
from regraft.features.activations import Activations
from regraft.features.executors.executor import Shard, ShardRows
from regraft.features.executors.task import ExtractionTask, Task
from regraft.features.opening import open_runtime
from regraft.features.pooling import activation_shape
from regraft.networks.network import load_network
from regraft.networks.weights.finding import find_weights
from regraft.progress import Meter, Reporter, Silent
from regraft.settings import Augmentation
from regraft.training.start.view_source import ViewSource
from regraft.workflow import preparation


@pytest.fixture
def activations(photos: Path, own_cache: Path) -> Activations:
    weights = find_weights("lenet5")
    runtime = open_runtime(weights, name="torch", cut=2, reporter=Silent())
    images = regraft.load_images(photos)
    return Activations(images, weights.input_spec, ViewPolicy("crop-flip"), runtime)


def source(activations: Activations, *, kept: int) -> ViewSource:
    network = load_network(find_weights("lenet5"))
    return ViewSource(
        activations,
        [item.sha256 for item in activations.images.items],
        shape=activation_shape(network, 2),
        prefix=network.cut(2)[0] if kept == 0 else None,
        device=torch.device("cpu"),
        precision="fp32",
        views=3,
        kept_views=kept,
    )


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_kept_activations_are_those_computed_on_the_fly(activations: Activations, epoch: int) -> None:
    places = np.array([3, 0, 17], dtype=np.int64)
    results = []
    for kept in (3, 0):
        one = source(activations, kept=kept)
        one.begin(epoch, Silent())
        results.append(one.prepare(one.fetch(places), places))
    assert results[0].shape == (3, 16, 5, 5)
    assert torch.allclose(*results, atol=2e-3)  # kept in half precision


def test_views_differ_and_come_round_again(activations: Activations) -> None:
    one, places = source(activations, kept=3), np.arange(4, dtype=np.int64)
    seen = []
    for epoch in range(4):
        one.begin(epoch, Silent())
        seen.append(one.prepare(one.fetch(places), places))
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[3])


def test_views_beyond_the_budget_give_their_space_back(activations: Activations, own_cache: Path) -> None:
    one = source(activations, kept=1)
    for epoch in range(3):
        one.begin(epoch, Silent())
        assert len(list((own_cache / "activations").glob("*/store.json"))) == 1


def test_pixels_are_the_activation_at_cut_0(photos: Path, own_cache: Path) -> None:
    spec = find_weights("lenet5").input_spec
    images = regraft.load_images(photos)
    plain = Activations(images, spec, ViewPolicy(), None)
    keys = [item.sha256 for item in images.items]
    rows = plain.rows(keys, 0)
    pixels = rows.gather(keys[:1]).reshape(32, 32, 1)
    assert np.array_equal(pixels, regraft_input(images.root, images.items[0].path))
    assert plain.row_bytes == 1024


def regraft_input(root: str, path: str) -> np.ndarray:
    from regraft.data.pictures.loading import load_input

    return load_input(Path(root, path), find_weights("lenet5").input_spec)


def test_an_image_that_is_gone_is_named(activations: Activations, photos: Path) -> None:
    (photos / "dark" / "3.png").unlink()
    with pytest.raises(
        DataError, match=r"1 images can't be read any more, first .*dark/3.png: .*No such file"
    ):
        activations.rows([item.sha256 for item in activations.images.items], 1)


@pytest.mark.parametrize("augment", ["crop-flip", "trivial"])
def test_views_by_an_executor_are_those_of_one_process(
    augment: Augmentation, photos: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, images = find_weights("lenet5"), regraft.load_images(photos)
    runtime = open_runtime(weights, name="torch", cut=2, reporter=Silent())
    here = Activations(images, weights.input_spec, ViewPolicy(augment, seed=3), runtime)
    keys = [item.sha256 for item in images.items]
    rows = [here.rows(keys, view).gather(keys) for view in (0, 1, 2)]
    monkeypatch.setenv("REGRAFT_CACHE", str(own_cache.with_name("other")))

    def refuse(*_: object) -> None:
        raise AssertionError("the network was run by the process that asked")

    there = replace(here, executor=LocalExecutor())
    monkeypatch.setattr(runtime, "run", refuse)
    for view, expected in enumerate(rows):
        assert there.rows(keys, view).gather(keys).tobytes() == expected.tobytes()
    assert rows[1].tobytes() != rows[2].tobytes()


def test_a_training_has_its_activations_computed_by_the_executor(
    photos: Path, warm_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int | str | None, int]] = []

    class Noting(LocalExecutor):
        def run(
            self, task: Task, shards: Iterator[Shard], reporter: Reporter, meter: Meter
        ) -> Iterator[tuple[Shard, ShardRows]]:
            for shard, rows in super().run(task, shards, reporter, meter):
                assert isinstance(task, ExtractionTask)
                asked.append((task.cut, shard.view))
                yield shard, rows

    settings = {"network": "lenet5", "strategy": "last-blocks", "cut": "2", "epochs": 2, "seed": 1}
    alone = regraft.fit(photos, **settings)  # type: ignore[arg-type]
    monkeypatch.setenv("REGRAFT_CACHE", str(warm_cache.with_name("other")))
    monkeypatch.setattr(preparation, "find_executor", {"ray": Noting()}.get)
    shared = regraft.fit(photos, **settings, executor="ray")  # type: ignore[arg-type]
    assert (2, 0) in asked
    assert shared.weights.sha256 == alone.weights.sha256
