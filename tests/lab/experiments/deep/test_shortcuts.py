from __future__ import annotations

import numpy as np
import pytest
import torch

from regraft.lab.bench.networks import cifar
from regraft.lab.bench.sets import Labelled
from regraft.lab.bench.training import Small, evaluated
from regraft.lab.experiments.deep.shortcuts import along_a_direction, branch_shares, without_blocks

GIVEN = Labelled(torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)), np.arange(6) % 3)


def residual(*, shortcuts: bool = True) -> Small:
    return cifar(8, 3, shortcuts=shortcuts, width=4, seed=0)


def silenced() -> Small:
    """A network whose branches add nothing: every block is an identity."""
    network = residual()
    with torch.no_grad():
        for stage in network.stages[1:]:
            stage.module.norm2.weight.zero_()  # type: ignore[union-attr, operator]
    return network


def test_without_shortcuts_everything_comes_from_the_layers() -> None:
    assert set(branch_shares(residual(shortcuts=False), GIVEN).values()) == {1.0}


def test_layers_that_add_nothing_have_no_share() -> None:
    assert set(branch_shares(silenced(), GIVEN).values()) == {0.0}


def test_removing_a_block_that_adds_nothing_changes_nothing() -> None:
    network = silenced()
    removed = without_blocks(network)
    assert list(removed) == ["block 1"]  # blocks 2 and 3 change the number of channels
    assert torch.equal(removed["block 1"].whole.eval()(GIVEN.images), network.whole.eval()(GIVEN.images))


def test_a_direction_leads_away_and_back() -> None:
    network = residual()
    before = [one.clone() for one in network.whole.parameters()]
    losses = along_a_direction(network, GIVEN, (-1.0, 0.0, 1.0), seed=0)
    assert losses[0.0] == pytest.approx(evaluated([network.whole], GIVEN)[0])
    assert len(set(losses.values())) == 3
    assert all(torch.equal(one, own) for one, own in zip(before, network.whole.parameters(), strict=True))
