from __future__ import annotations

import pytest
import torch
from torch import nn

from regraft.lab.bench.networks import conv
from regraft.lab.experiments.blocks.bottleneck import DESIGNS as BOTTLENECK
from regraft.lab.experiments.blocks.depthwise import DESIGNS as DEPTHWISE
from regraft.lab.experiments.blocks.equal_cost import Design, multiply_adds, width_for
from regraft.lab.experiments.blocks.inception import DESIGNS as INCEPTION
from regraft.lab.experiments.blocks.inception import Inception
from regraft.lab.experiments.blocks.scaling import DESIGNS as SCALING

ALL = {
    f"{room}: {name}": design
    for room, designs in (("b", BOTTLENECK), ("d", DEPTHWISE), ("i", INCEPTION), ("s", SCALING))
    for name, design in designs.items()
}
BUDGET = 60_000


def test_multiply_adds_are_those_of_the_formula() -> None:
    """A 3 x 3 convolution from 1 to 4 channels at 8 x 8 positions, and a classifier of 5 classes."""
    design = Design(lambda width: [conv(1, width)])
    assert multiply_adds(design.at(4, 5, seed=0), 8)[0] == 9 * 4 * 64 + 4 * 5


@pytest.mark.parametrize("name", ALL)
def test_the_chosen_width_is_the_nearest_to_the_budget(name: str) -> None:
    design, cost = ALL[name], []
    width = width_for(design, BUDGET, classes=10, size_px=8)
    for near in (width - design.step, width, width + design.step):
        if near > 0:
            network = design.at(near, 10, seed=0)
            cost.append((abs(multiply_adds(network, design.side_px(8))[0] - design.factor * BUDGET), near))
    assert min(cost)[1] == width


@pytest.mark.parametrize("name", ALL)
def test_every_design_classifies(name: str) -> None:
    design = ALL[name]
    side = design.side_px(8)
    assert design.at(8, 10, seed=0).whole(torch.zeros(2, 1, side, side)).shape == (2, 10)


def test_branches_of_different_sizes_lie_side_by_side() -> None:
    module = Inception(8, squeezes=True).eval()
    given = torch.randn(1, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    made = module(given)
    assert made.shape == (1, 8, 6, 6)
    first: nn.Module = module.branches[0]
    assert torch.equal(made[:, :2], first(given))
