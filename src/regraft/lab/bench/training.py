"""Train small networks by the engine that trains everything else, and evaluate them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from regraft.lab.bench.sets import Labelled
from regraft.networks.stages import Stage
from regraft.progress import Silent
from regraft.randomness import generator
from regraft.settings import TrainSettings
from regraft.training.loop.batches import TensorSource
from regraft.training.loop.checkpoint import Position
from regraft.training.loop.engine import Trainer
from regraft.training.loop.objective import SoftmaxObjective
from regraft.training.loop.steps import Training
from regraft.training.loop.tail import Tail
from regraft.training.threads import threads_for


@dataclass(frozen=True)
class Small:
    """A small network: its stages in order, and its head."""

    stages: tuple[Stage, ...]
    head: nn.Module

    @property
    def whole(self) -> nn.Sequential:
        """The network as one module that shares its weights."""
        return nn.Sequential(*(stage.module for stage in self.stages), self.head)


def settings(**changes: Any) -> TrainSettings:
    """Settings of a plain training from scratch: AdamW with warm-up and cosine, no regularisation, fp32."""
    usual: dict[str, Any] = {
        "epochs": 20,
        "lr": 3e-3,
        "weight_decay": 0.0,
        "clip_norm": 0.0,
        "lr_decay": 1.0,
        "effective_batch": 64,
        "batchnorm": "trained",
        "validation_share": 0.0,
        "augment": "none",
        "train_precision": "fp32",
    }
    usual |= changes
    return TrainSettings(**{"micro_batch": usual["effective_batch"], **usual})


def trained(
    network: Small,
    train: Labelled,
    chosen: TrainSettings,
    *,
    seed: int,
    watched: Labelled | None = None,
    source: TensorSource | None = None,
) -> Position:
    """Train a network in place; returns what the engine recorded, epoch by epoch.

    Args:
        network: the network.
        train: the training images.
        chosen: settings of the training.
        seed: random seed of the order of images, dropout and noise.
        watched: images that are evaluated after each epoch. The network ends with the weights of the epoch
            that was best on them, so they must not be test images where the network is used afterwards;
            without them it ends with its last weights.
        source: another source of the training images, such as one that augments them.
    """
    classes = int(_linear(network.head).out_features)
    tail = Tail(network.stages, network.head, trains_batchnorm=chosen.batchnorm == "trained")
    training = Training(
        tail,
        source or TensorSource(train.images),
        train.targets,
        SoftmaxObjective.of(train.targets, classes, chosen),
        chosen,
        validation=None if watched is None else TensorSource(watched.images),
        validation_targets=None if watched is None else watched.targets,
        seed=seed,
        evaluated=512,
    )
    with threads_for(tail, tuple(train.images.shape[1:]), chosen.effective_batch):
        return Trainer(training, Silent()).run()


def _linear(head: nn.Module) -> nn.Linear:
    return [module for module in head.modules() if isinstance(module, nn.Linear)][-1]


@torch.no_grad()
def evaluated(modules: Sequence[nn.Module], given: Labelled) -> tuple[float, float]:
    """Mean cross-entropy in nats and accuracy of modules in a row, in evaluation mode."""
    value = given.images
    for module in modules:
        value = module.eval()(value)
    targets = torch.from_numpy(given.targets)
    loss = functional.cross_entropy(value, targets)
    return float(loss), float((value.argmax(dim=1) == targets).float().mean())


def accuracy(network: Small, given: Labelled) -> float:
    """The share of images whose class is predicted."""
    return evaluated([network.whole], given)[1]


@torch.no_grad()
def passed(modules: Sequence[nn.Module], given: Labelled) -> Labelled:
    """What frozen modules make of images: the input of what is trained after them."""
    value = given.images
    for module in modules:
        value = module.eval()(value)
    return Labelled(value, given.targets)


class ShiftedSource(TensorSource):
    """Images that each epoch shifts anew by up to one pixel in both directions.

    Args:
        images: `(N, C, H, W)`.
        seed: random seed of the shifts.
    """

    def __init__(self, images: torch.Tensor, seed: int) -> None:
        super().__init__(images)
        self._images, self._seed = images, seed

    def begin(self, epoch: int, reporter: Any) -> None:
        del reporter
        moves = generator(self._seed, "shifts", epoch).integers(-1, 2, (len(self._images), 2))
        height, width = self._images.shape[2:]
        edged = functional.pad(self._images, (1, 1, 1, 1), mode="replicate")
        rows = torch.from_numpy(np.arange(height) + 1 + moves[:, :1])
        columns = torch.from_numpy(np.arange(width) + 1 + moves[:, 1:])
        numbers = torch.arange(len(moves))[:, None, None]
        self._values = edged[numbers, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
