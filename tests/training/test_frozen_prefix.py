from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from regraft.features.pooling import summarise
from regraft.networks.architectures.building import build
from regraft.networks.network import stages_of
from regraft.networks.stages import Stage
from regraft.networks.zoo.catalogues import find_recipe
from regraft.progress import Silent
from regraft.settings import TrainSettings
from regraft.training.loop.batches import Places, TensorSource
from regraft.training.loop.engine import Trainer
from regraft.training.loop.objective import SoftmaxObjective
from regraft.training.loop.steps import Training
from regraft.training.loop.tail import Tail
from regraft.training.start.trained_head import HeadStart, LinearHead
from tests.networks.families import small_side
from tests.networks.sample import by_turns


class PrefixedSource(TensorSource):
    """Runs a frozen prefix as training does when nothing is kept on disk."""

    def __init__(self, values: torch.Tensor, prefix: torch.nn.Module) -> None:
        super().__init__(values)
        self._prefix = prefix

    def prepare(self, raw: torch.Tensor, places: Places) -> torch.Tensor:
        with torch.inference_mode():
            values = self._prefix(raw)
        return values.clone()


def random_head(stages: Sequence[Stage], images: torch.Tensor) -> LinearHead:
    """A head for two classes on what the last stage gives."""
    with torch.no_grad():
        statistics = dict(summarise(torch.nn.Sequential(*(stage.module for stage in stages))(images)))
    statistic = "token" if "token" in statistics else "mean"
    start = HeadStart.zero(statistics[statistic].shape[1], 2)
    draws = np.random.default_rng(0).normal(size=start.weights.shape).astype(np.float32)
    return LinearHead(replace(start, weights=draws), statistic)  # type: ignore[arg-type]


def train(stages: Sequence[Stage], count: int, images: torch.Tensor) -> None:
    """One step on four images, with the first stages as a frozen prefix."""
    prefix = torch.nn.Sequential(*(stage.module for stage in stages[:count]))
    tail = Tail(stages[count:], random_head(stages, images), trains_batchnorm=True)
    labels = np.array([0, 1, 0, 1], dtype=np.int64)
    settings = TrainSettings(
        epochs=1, lr=1e-3, effective_batch=4, micro_batch=4, train_precision="fp32", optimizer="sgd"
    )
    objective = SoftmaxObjective.of(labels, 2, settings)
    Trainer(Training(tail, PrefixedSource(images, prefix), labels, objective, settings), Silent()).run()


@pytest.mark.slow
@pytest.mark.parametrize("name", by_turns())
def test_a_frozen_prefix_keeps_every_bit_through_a_training(name: str) -> None:
    """Parameters and buffers, with BatchNorm trained in the tail: the table, and other families."""
    recipe, spec = find_recipe(name)
    torch.manual_seed(0)
    module = build(recipe).requires_grad_(False)
    stages = stages_of(module, recipe)[0].stages
    count = len(stages) // 2
    side = small_side(recipe, spec)
    images = torch.randn(4, spec.channels, side, side, generator=torch.Generator().manual_seed(0))
    before = {key: value.clone() for key, value in module.state_dict().items()}
    frozen = {id(v) for stage in stages[:count] for v in stage.module.state_dict(keep_vars=True).values()}
    train(stages, count, images)
    after = module.state_dict(keep_vars=True)
    moved = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert moved
    assert not [key for key in moved if id(after[key]) in frozen]
