from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from regraft.features.heads import Head
from regraft.features.pooling import summarise
from regraft.networks.building import build
from regraft.networks.catalogues import find_recipe
from regraft.networks.network import load_network
from regraft.networks.states import save_state
from regraft.networks.weights import Weights
from regraft.networks.zoo import cards
from regraft.progress import Silent
from regraft.records import Column, HeadRecord, WeightsSource
from regraft.settings import TrainSettings
from regraft.training.engine import Trainer
from regraft.training.sources import Places, TensorSource
from regraft.training.steps import Task
from regraft.training.tail import EarlierHead, HeadStart, LinearHead, Tail
from tests.networks.families import FAMILIES, small_side
from tests.training.examples import small_tail


def solved_head(width: int = 5, classes: int = 3) -> Head:
    draws = np.random.default_rng(0)
    arrays = {
        "mean": draws.normal(size=width),
        "scale": np.abs(draws.normal(size=width)),
        "weights": draws.normal(size=(width, classes)) * 3,
        "intercepts": draws.normal(size=classes),
    }
    column = Column(stage="last", statistic="mean", start=0, stop=width)
    record = HeadRecord(kind="logistic", columns=(column,), hyperparameters={})
    return Head(record, {name: array.astype(np.float32) for name, array in arrays.items()})


def test_the_head_starts_as_the_solved_one_and_goes_back_to_it() -> None:
    solved = solved_head()
    head = LinearHead(HeadStart.from_solved(solved), "mean").eval()
    features = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    with torch.no_grad():
        logits = head(torch.from_numpy(features)).numpy()
    assert logits == pytest.approx(solved.scores(features), abs=1e-4)
    back = head.solved(solved.record.columns)
    assert back.probabilities(features) == pytest.approx(solved.probabilities(features), abs=1e-5)


def test_an_earlier_head_goes_on_for_the_classes_that_come_again() -> None:
    old, new = solved_head(classes=3), solved_head(classes=4)
    new.arrays["mean"][:] += 0.5
    earlier = EarlierHead(("cat", "dog", "emu"), old)
    labels = ("dog", "fox", "cat", "yak")
    start = HeadStart.remapped(earlier, labels, HeadStart.from_solved(new))
    features = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    logits = ((features - start.mean) * start.scale) @ start.weights + start.intercepts

    def centred(scores: np.ndarray) -> np.ndarray:
        return scores - scores.mean(axis=1, keepdims=True)

    assert logits[:, [2, 0]] == pytest.approx(centred(old.scores(features))[:, [0, 1]], abs=1e-4)
    assert logits[:, [1, 3]] == pytest.approx(centred(new.scores(features))[:, [1, 3]], abs=1e-4)


def test_auxiliary_classifiers_train_and_leave_the_head_alone() -> None:
    tail = small_tail(batchnorm=True)
    values = torch.randn(4, 2, 5, 5)
    tail.auxiliaries["0"] = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(6, 3)
    )
    tail.train_from(0)
    tail.train()
    assert [logits.shape[1] for logits in tail.all_logits(values)] == [tail.head.linear.out_features, 3]
    assert any(name.startswith("auxiliary after") for name, _, _ in tail.parts())
    tail.eval()
    assert len(tail.all_logits(values)) == 1
    tail.train_from(1)  # it reads a stage that stands still now
    tail.train()
    assert len(tail.all_logits(values)) == 1


def test_a_zero_head_gives_every_class_the_same() -> None:
    start = HeadStart.zero(5, 3, like=HeadStart.from_solved(solved_head()))
    assert LinearHead(start, "mean")(torch.randn(2, 5)).tolist() == [[0, 0, 0]] * 2


def test_dropout_by_hand_scales_what_it_keeps() -> None:
    start = replace(HeadStart.zero(400, 1), weights=np.ones((400, 1), dtype=np.float32))
    head = LinearHead(start, "mean", dropout=0.75).train()
    torch.manual_seed(0)
    values = torch.cat([head(torch.ones(1, 400)) for _ in range(200)])
    assert float((values.detach() / 4).remainder(1).abs().max()) < 1e-3  # each kept feature counts four times
    assert float(values.detach().mean()) == pytest.approx(400, rel=0.02)


def test_stages_before_the_first_stand_still_in_evaluation() -> None:
    tail = small_tail(batchnorm=True)
    tail.train_from(1)
    tail.train()
    assert not any(p.requires_grad for p in tail.stages[0].parameters())
    assert not any(m.training for m in tail.stages[0].modules())
    assert tail.stages[1].training


class PrefixedSource(TensorSource):
    """Runs a frozen prefix as training does when nothing is kept on disk."""

    def __init__(self, values: torch.Tensor, prefix: torch.nn.Module) -> None:
        super().__init__(values)
        self._prefix = prefix

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        with torch.inference_mode():
            values = self._prefix(raw)
        return values.clone()


def random_weights(name: str, folder: Path) -> Weights:
    recipe, spec = find_recipe(name)
    path = folder / f"{name}.safetensors"
    torch.manual_seed(0)
    save_state(build(recipe).state_dict(), path)
    source = WeightsSource(where="random", sha256="0" * 64, licence="none")
    return Weights(name, path, "0" * 64, recipe, spec, source)


@pytest.mark.parametrize("name", [*cards(), *FAMILIES])
def test_a_frozen_prefix_keeps_every_bit_through_a_training(name: str, tmp_path: Path) -> None:
    """Parameters and buffers, with BatchNorm trained in the tail: the table, and other families."""
    network = load_network(random_weights(name, tmp_path))
    count = len(network.stages) // 2
    prefix, _ = network.cut(count)
    spec = network.input_spec
    size = small_side(find_recipe(name)[0], spec)
    images = torch.randn(4, spec.channels, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        value = images
        for stage in network.stages:
            value = stage.module(value)
    statistics = dict(summarise(value))
    statistic = "token" if "token" in statistics else "mean"
    width = statistics[statistic].shape[1]
    network.module.requires_grad_(False)
    start = HeadStart.zero(width, 2)
    head_weights = np.random.default_rng(0).normal(size=start.weights.shape).astype(np.float32)
    head = LinearHead(replace(start, weights=head_weights), statistic)  # type: ignore[arg-type]
    tail = Tail(network.stages[count:], head, trains_batchnorm=True)
    before = {k: v.clone() for k, v in network.module.state_dict().items()}
    frozen = {
        id(v) for stage in network.stages[:count] for v in stage.module.state_dict(keep_vars=True).values()
    }
    settings = TrainSettings(epochs=1, lr=1e-3, effective_batch=4, micro_batch=4, train_precision="fp32")
    labels = np.array([0, 1, 0, 1], dtype=np.int64)
    Trainer(Task(tail, PrefixedSource(images, prefix), labels, 2, settings), Silent()).run()
    after = network.module.state_dict(keep_vars=True)
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved
    assert not [name for name in moved if id(after[name]) in frozen]
