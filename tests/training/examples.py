"""A tail of two small stages, and a training on noise that it can learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from regraft.networks.stages import Stage
from regraft.settings import TrainSettings
from regraft.training.loop.batches import TensorSource
from regraft.training.loop.objective import SoftmaxObjective
from regraft.training.loop.steps import Training
from regraft.training.loop.tail import Tail
from regraft.training.start.trained_head import HeadStart, LinearHead


def small_tail(*, batchnorm: bool = False, dropout: float = 0.0, stage_dropout: float = 0.0) -> Tail:
    """Two convolutions with normalisation, then a head for three classes."""
    torch.manual_seed(0)

    def norm() -> nn.Module:
        return nn.BatchNorm2d(6) if batchnorm else nn.GroupNorm(2, 6)

    one = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), norm(), nn.ReLU(), nn.Dropout(stage_dropout))
    two = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), norm(), nn.ReLU())
    head = LinearHead(HeadStart.zero(6, 3), "mean", dropout=dropout)
    return Tail([Stage("one", one), Stage("two", two)], head, trains_batchnorm=batchnorm)


def small_training(
    tail: Tail | None = None, *, path: Path | None = None, count: int = 30, **changes: Any
) -> Training:
    """Three classes of noisy maps; the first channel's brightness tells them apart."""
    defaults = {"epochs": 4, "lr": 1e-2, "effective_batch": 8, "train_precision": "fp32", "micro_batch": 8}
    settings = replace(TrainSettings(), **{**defaults, **changes})
    labels = np.arange(count, dtype=np.int64) % 3
    values = torch.randn(count, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    values[:, 0] += torch.from_numpy(labels)[:, None, None]
    held = torch.randn(9, 2, 5, 5, generator=torch.Generator().manual_seed(2))
    held[:, 0] += torch.from_numpy(labels[:9])[:, None, None]
    return Training(
        tail=tail or small_tail(),
        train=TensorSource(values),
        targets=labels,
        objective=SoftmaxObjective.of(labels, 3, settings),
        settings=settings,
        validation=TensorSource(held),
        validation_targets=labels[:9],
        key="example",
        checkpoint=path,
    )
