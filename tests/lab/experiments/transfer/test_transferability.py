"""The protocol on networks whose transfer is known."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from regraft.lab.bench.networks import convolutional
from regraft.lab.bench.sets import gratings
from regraft.lab.bench.training import Small, settings, trained
from regraft.lab.experiments.transfer.transferability import ANB, ANB_TUNED, BNB, CUTS, Bases, transferred

PLAN = settings(epochs=20, lr=0.01, effective_batch=20)


@pytest.fixture(scope="module")
def base() -> Bases:
    """Both halves are the same task here, and both networks the same one."""
    data = gratings(classes=2, images=140)
    train, test = data.sample(0, per_class=30, test=100)
    network = convolutional(2, seed=0)
    trained(network, train, PLAN, seed=0)
    return Bases(network, copy.deepcopy(network), train, test, 2)


def blind(bases: Bases, place: int) -> Bases:
    """Network A lets nothing through one of its layers."""
    stages = copy.deepcopy(bases.a.stages)
    with torch.no_grad():
        for parameter in stages[place].module.parameters():
            parameter.zero_()
    return Bases(Small(stages, bases.a.head), bases.b, bases.train, bases.test, bases.classes)


@pytest.mark.parametrize("cut", [1, 3, CUTS])
def test_the_same_network_as_both_bases_transfers_alike(base: Bases, cut: int) -> None:
    assert transferred(ANB, cut, base, PLAN, seed=1) == transferred(BNB, cut, base, PLAN, seed=1)


def test_frozen_layers_that_let_nothing_through_leave_chance(base: Bases) -> None:
    chance = max(np.bincount(base.test.targets)) / len(base.test)
    below, above = (transferred(ANB, cut, blind(base, 2), PLAN, seed=1) for cut in (2, 3))
    assert above <= chance
    assert below > chance + 0.2


def test_own_layers_frozen_to_the_last_keep_what_the_network_knows(base: Bases) -> None:
    assert transferred(BNB, CUTS, base, PLAN, seed=1) > 0.85


def test_training_everything_leaves_the_bases_as_they_are(base: Bases) -> None:
    before = copy.deepcopy(base.a.whole.state_dict())
    transferred(ANB_TUNED, 3, base, PLAN, seed=1)
    assert all(torch.equal(before[name], value) for name, value in base.a.whole.state_dict().items())
