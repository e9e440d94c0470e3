from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from regraft.lab.bench.sets import Labelled
from regraft.lab.bench.training import Small
from regraft.lab.experiments.deep.gradients import Layer, layer_norms, network
from regraft.networks.stages import Stage

IMAGES, CLASSES = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]]), np.array([0, 1])
FIRST, FIRST_BIAS = np.array([[0.2, -0.4, 0.1], [0.7, 0.3, -0.6]]), np.array([0.1, -0.2])
HEAD, HEAD_BIAS = np.array([[1.0, -0.5], [-0.3, 0.8]]), np.array([0.05, 0.0])


def by_hand() -> tuple[float, float]:
    """Norms of the gradients of both layers, by the chain rule: sigmoid, softmax, mean cross-entropy."""
    hidden = 1 / (1 + np.exp(-(IMAGES @ FIRST.T + FIRST_BIAS)))
    scores = hidden @ HEAD.T + HEAD_BIAS
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    behind = (chances - np.eye(2)[CLASSES]) / len(IMAGES)  # of the scores
    before = (behind @ HEAD) * hidden * (1 - hidden)  # of the sums that enter the sigmoid
    norms = [
        np.sqrt(((errors.T @ inputs) ** 2).sum() + (errors.sum(axis=0) ** 2).sum())
        for errors, inputs in ((before, IMAGES), (behind, hidden))
    ]
    return float(norms[0]), float(norms[1])


def test_norms_are_those_of_the_chain_rule() -> None:
    layer, last = Layer(3, 2, nn.Sigmoid(), "plain"), nn.Linear(2, 2)
    with torch.no_grad():
        for module, weight, bias in ((layer.linear, FIRST, FIRST_BIAS), (last, HEAD, HEAD_BIAS)):
            module.weight.copy_(torch.from_numpy(weight))
            module.bias.copy_(torch.from_numpy(bias))
    given = Labelled(torch.from_numpy(IMAGES).float(), CLASSES)
    row = layer_norms(Small((Stage("layer 1", layer),), last), given, steps=1, seed=0)[0]
    assert (row["layer 1"], row["head"]) == pytest.approx(by_hand(), rel=1e-5)


def test_sigmoids_let_less_of_the_gradient_through_with_every_layer() -> None:
    """A sigmoid's slope is at most a quarter."""
    given = Labelled(torch.randn(20, 1, 2, 2, generator=torch.Generator().manual_seed(0)), np.arange(20) % 2)
    shares = []
    for depth in (3, 6, 12):
        own = network(depth, ("sigmoid", "plain", "Glorot"), 4, 2, seed=0)
        row = layer_norms(own, given, steps=1, seed=0)[0]
        shares.append(row["layer 1"] / row[f"layer {depth - 1}"])
    assert shares[0] > 10 * shares[1] > 1000 * shares[2]


def test_a_shortcut_adds_the_input() -> None:
    layer = Layer(3, 3, nn.ReLU(), "residual").eval()
    nn.init.zeros_(layer.linear.weight)
    nn.init.zeros_(layer.linear.bias)
    given = torch.tensor([[1.0, -2.0, 3.0]])
    assert torch.equal(layer(given), given)
