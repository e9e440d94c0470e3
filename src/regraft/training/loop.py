"""Training a whole network on images that fit in memory: small networks, from scratch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from regraft.data.loading import Pixels
from regraft.records import InputSpec


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained: AdamW (Loshchilov & Hutter 2019) with a cosine to zero (2017)."""

    epochs: int = 100
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    seed: int = 0
    """Of the order of images; the network's initial weights are the caller's."""


def normalised(images: list[Pixels], spec: InputSpec) -> torch.Tensor:
    """`(N, C, H, W) float32` from N images of `(H, W, C) uint8`."""
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(spec.mean).reshape(1, -1, 1, 1)
    std = torch.tensor(spec.std).reshape(1, -1, 1, 1)
    return (pixels - mean) / std


def train(
    network: nn.Module, images: torch.Tensor, labels: npt.NDArray[np.int64], settings: TrainingSettings
) -> None:
    """Train all of a network in place, by cross-entropy; leaves it in evaluation mode.

    Args:
        network: maps images to logits.
        images: `(N, C, H, W) float32`.
        labels: `(N,)` class numbers.
        settings: how.
    """
    targets = torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * -(-len(images) // settings.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(images), generator=generator).split(settings.batch):  # type: ignore[no-untyped-call]
            loss = functional.cross_entropy(network(images[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    network.eval()


def predict_logits(network: nn.Module, images: torch.Tensor, batch: int = 256) -> npt.NDArray[np.float32]:
    """`(N, K) float32` logits."""
    with torch.inference_mode():
        parts = [network(part).numpy() for part in torch.split(images, batch)]
    return np.concatenate(parts)
