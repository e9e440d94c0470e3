from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from regraft.errors import NetworkError
from regraft.networks.architectures.building import build
from regraft.networks.initialisation import gabor_bank, initial_weights, initialise
from regraft.networks.zoo.cards import cards


def layers() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 24, 7), nn.BatchNorm2d(24), nn.Conv2d(24, 96, 3), nn.Flatten(), nn.Linear(300, 200)
    )


@torch.no_grad()
def test_he_has_variance_two_over_fan_in_by_hand() -> None:
    network = layers()
    initialise(network, "he", seed=0)
    assert float(network[2].weight.var()) == pytest.approx(2 / (24 * 9), rel=0.05)
    assert float(network[4].weight.var()) == pytest.approx(2 / 300, rel=0.05)
    assert float(network[4].bias.abs().max()) == 0


@torch.no_grad()
def test_glorot_has_variance_two_over_both_fans_by_hand() -> None:
    network = layers()
    initialise(network, "glorot", seed=0)
    assert float(network[4].weight.var()) == pytest.approx(2 / 500, rel=0.05)
    assert float(network[4].weight.abs().max()) <= (6 / 500) ** 0.5


def test_orthogonal_rows_are_orthonormal_times_root_two() -> None:
    network = layers()
    initialise(network, "orthogonal", seed=0)
    weight = network[4].weight
    assert torch.allclose(weight @ weight.T, 2 * torch.eye(200), atol=1e-4)


def test_gabor_filters_sum_to_nothing_and_differ() -> None:
    bank = gabor_bank(24, 3, 7)
    assert torch.allclose(bank.sum(dim=(1, 2, 3)), torch.zeros(24), atol=1e-5)
    assert torch.allclose(bank.flatten(1).norm(dim=1), torch.ones(24), atol=1e-4)
    alike = bank.flatten(1) @ bank.flatten(1).T - torch.eye(24)
    assert float(alike.max()) < 0.98
    grey, coloured = bank[:16], bank[16:]
    assert torch.allclose(grey[:, 0], grey[:, 1])
    assert not torch.allclose(coloured[:, 0], coloured[:, 1])


def test_gabor_needs_a_first_convolution() -> None:
    with pytest.raises(NetworkError, match="Sequential doesn't start with a convolution"):
        initialise(nn.Sequential(nn.Linear(4, 4)), "gabor", seed=0)


@torch.no_grad()
def test_signals_neither_vanish_nor_explode_under_he() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*(one for _ in range(20) for one in (nn.Linear(512, 512), nn.ReLU())))
    initialise(network, "he", seed=0)
    out = network(torch.randn(64, 512))
    assert 0.2 < float(out.square().mean()) / 0.5 < 5


def test_seeds_decide(own_cache: Path) -> None:
    one, other = (initial_weights("lenet5", "he", seed=seed) for seed in (0, 1))
    assert one.sha256 == initial_weights("lenet5", "he", seed=0).sha256
    assert one.sha256 != other.sha256


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_100", "lenet5"])
def test_real_networks_put_out_finite_numbers(name: str) -> None:
    card = cards()[name]
    network = build(card.recipe)
    initialise(network, "orthogonal", seed=0)
    size = min(96, card.input_spec.size_px)
    assert bool(network(torch.randn(2, card.input_spec.channels, size, size)).isfinite().all())
