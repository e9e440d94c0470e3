from __future__ import annotations

import numpy as np
import torch

from regraft.networks.lenet import LeNet5
from regraft.records import InputSpec
from regraft.training.loop import TrainingSettings, normalised, predict_logits, train


def example() -> tuple[torch.Tensor, np.ndarray]:
    """Noise with a bright half: the left one for class 0, the right one for class 1."""
    images = torch.rand(40, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = np.arange(40) % 2
    images[labels == 0, :, :, :16] += 1
    images[labels == 1, :, :, 16:] += 1
    return images, labels


def trained(seed: int) -> LeNet5:
    torch.manual_seed(0)
    network = LeNet5(num_classes=2)
    train(network, *example(), TrainingSettings(epochs=5, batch=16, seed=seed))
    return network


def test_training_learns_and_ends_in_evaluation_mode() -> None:
    network = trained(0)
    images, labels = example()
    assert not network.training
    assert (predict_logits(network, images).argmax(axis=1) == labels).all()


def test_the_seed_decides_every_bit() -> None:
    one, same, other = (trained(seed).state_dict()["c1.weight"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_normalisation_by_hand() -> None:
    """(255 / 255 - 0.5) / 0.25 = 2 and (0 - 0.5) / 0.25 = -2."""
    spec = InputSpec(size_px=8, channels=1, mean=(0.5,), std=(0.25,))
    images = [np.full((8, 8, 1), 255, np.uint8), np.zeros((8, 8, 1), np.uint8)]
    assert normalised(images, spec)[:, 0, 0, 0].tolist() == [2.0, -2.0]
