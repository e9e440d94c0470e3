from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from regraft.lab.bench.networks import cifar, convolutional, lenet
from regraft.lab.bench.sets import Labelled
from regraft.lab.bench.training import ShiftedSource, accuracy, evaluated, passed, settings, trained
from regraft.networks.architectures.lenet import LeNet5
from regraft.networks.initialisation import initialise
from regraft.progress import Silent


def halves(count: int = 40) -> Labelled:
    """Images that are bright at the left or at the right."""
    images = torch.zeros(count, 1, 8, 8)
    images[::2, :, :, :4], images[1::2, :, :, 4:] = 1.0, 1.0
    return Labelled(images, np.arange(count) % 2)


def test_what_is_easy_is_learned_with_the_same_bits_each_time() -> None:
    given, found = halves(), []
    for _ in range(2):
        network = convolutional(2, seed=0, width=4)
        trained(network, given, settings(epochs=30, effective_batch=20), seed=0)
        found.append([one.clone() for one in network.whole.parameters()])
        assert accuracy(network, given) == 1.0
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_watched_images_have_a_score_for_each_epoch() -> None:
    rows = trained(
        convolutional(2, seed=0, width=4), halves(), settings(epochs=3), seed=0, watched=halves(10)
    ).history
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert all(0 <= row["validation_accuracy"] <= 1 for row in rows)


def test_loss_and_accuracy_are_those_of_the_scores() -> None:
    """The scores are (0, ln 3), so the chances are 1/4 and 3/4."""
    head = nn.Linear(1, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.0], [math.log(3)]]))
        head.bias.zero_()
    loss, share = evaluated([head], Labelled(torch.ones(4, 1), np.array([1, 1, 1, 0])))
    assert loss == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4)
    assert share == 0.75


def test_frozen_modules_hand_on_what_they_make() -> None:
    given = passed([nn.Flatten(), nn.Identity()], halves(2))
    assert given.images.shape == (2, 64)


def test_shifts_move_a_point_by_at_most_a_pixel() -> None:
    images = torch.zeros(200, 1, 8, 8)
    images[:, :, 4, 3] = 1.0
    source = ShiftedSource(images, seed=0)
    source.begin(0, Silent())
    first = source.fetch(np.arange(200)).clone()
    rows, columns = (first == 1).nonzero()[:, 2], (first == 1).nonzero()[:, 3]
    assert {*zip(rows.tolist(), columns.tolist(), strict=True)} == {
        (row, column) for row in (3, 4, 5) for column in (2, 3, 4)
    }
    assert first.sum() == 200
    source.begin(1, Silent())
    assert not torch.equal(source.fetch(np.arange(200)), first)


def test_plain_and_residual_networks_start_with_the_same_weights() -> None:
    plain, residual = (
        cifar(20, 10, shortcuts=one, width=4, seed=0).whole.state_dict() for one in (False, True)
    )
    assert all(torch.equal(plain[name], residual[name]) for name in plain)


def test_lenet_in_stages_computes_what_lenet_computes() -> None:
    whole = LeNet5(num_classes=3)
    initialise(whole, "glorot", seed=5)
    images = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(lenet(3, seed=5).whole(images), whole(images))
