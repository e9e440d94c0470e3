from __future__ import annotations

import numpy as np
import pytest
import torch

from regraft.lab.bench.networks import convolutional
from regraft.lab.bench.sets import Labelled
from regraft.lab.bench.training import Small
from regraft.lab.experiments.transfer.forgetting import ANCHORED, FROZEN, GRADUAL, tuned

GIVEN = Labelled(torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0)), np.arange(50) % 2)


def distances(arm: str, epochs: int = 3) -> list[float]:
    """How far the stages are from the source after each number of epochs."""
    source = convolutional(3, seed=0)
    start = torch.cat([one.flatten() for stage in source.stages for one in stage.module.parameters()])
    seen: dict[int, float] = {}

    def look(network: Small, epoch: int) -> None:
        now = [one.detach().flatten() for stage in network.stages for one in stage.module.parameters()]
        seen[epoch] = float((torch.cat(now) - start.detach()).norm())

    tuned(source, arm, GIVEN, look, epochs=epochs, seed=0)
    return [seen[epoch] for epoch in range(epochs + 1)]


def test_the_network_is_looked_at_before_and_after_every_epoch() -> None:
    moved = distances("rate 0.03")
    assert moved[0] == 0.0
    assert moved[1] > 0.0
    assert len(set(moved)) == 4


def test_frozen_stages_stay_where_they_are() -> None:
    assert distances(FROZEN) == [0.0] * 4


def test_a_larger_rate_goes_further() -> None:
    assert distances("rate 0.1")[-1] > 3 * distances("rate 0.003")[-1]


@pytest.mark.parametrize("arm", [GRADUAL, ANCHORED])
def test_unfreezing_slowly_and_being_drawn_back_go_less_far(arm: str) -> None:
    assert distances(arm)[-1] < distances("rate 0.03")[-1]
