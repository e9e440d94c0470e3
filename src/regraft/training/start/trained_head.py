"""A trained head: where it starts, what it computes, and the solved form in which it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regraft.features.pooling import summarise
from regraft.heads.head import Head
from regraft.plans.plan import TRAINED_HEADS
from regraft.records import Column, HeadRecord, Link, Statistic
from regraft.storage.files import sha256_of
from regraft.training.loop.objective import Unit


@dataclass(frozen=True)
class EarlierHead:
    """The head of an earlier run, some of whose outputs may be the same."""

    labels: tuple[str, ...]
    """The names of its outputs."""
    head: Head
    """A head of one of `TRAINED_HEADS`."""

    def facts(self) -> dict[str, Any]:
        """Everything about this head that a training started from it depends on."""
        arrays = {name: sha256_of(array.tobytes()) for name, array in self.head.arrays.items()}
        return {"labels": self.labels, "arrays": arrays}


@dataclass(frozen=True)
class HeadStart:
    """A linear head to start from, on features of unit variance: `z = (x - mean) * scale`."""

    mean: npt.NDArray[np.float32]
    """`(D,)`."""
    scale: npt.NDArray[np.float32]
    """`(D,)`; features with scale 0 are not used."""
    weights: npt.NDArray[np.float32]
    """`(D, K)`."""
    intercepts: npt.NDArray[np.float32]
    """`(K,)`."""

    @classmethod
    def from_solved(cls, head: Head) -> HeadStart:
        """A solved head, with its features rescaled to unit variance.

        A solved head divides each feature by the square root of their number. Trained on such features, its
        weights would be large and change too little at the same learning rate.
        """
        arrays = {name: np.asarray(array, dtype=np.float64) for name, array in head.arrays.items()}
        root = arrays["scale"].size ** 0.5
        return cls(
            arrays["mean"].astype(np.float32),
            (arrays["scale"] * root).astype(np.float32),
            (arrays["weights"] / root).astype(np.float32),
            arrays["intercepts"].astype(np.float32),
        )

    @classmethod
    def remapped(cls, earlier: EarlierHead, labels: Sequence[str], solved: HeadStart) -> HeadStart:
        """The earlier head for outputs of the same name, the solved head for the others, made comparable.

        Both are converted to the earlier standardisation. Scores of classes are compared with each other, so
        each head's get a mean of zero over its classes, which does not change its probabilities. Other scores
        mean something by themselves and stay as they are.
        """
        old = cls.from_solved(earlier.head)
        centred = _centred if earlier.head.record.link == "softmax" else np.asarray
        scale = np.divide(solved.scale, old.scale, out=np.zeros_like(old.scale), where=old.scale != 0)
        shift = (old.mean - solved.mean) * solved.scale
        weights = centred(np.asarray(scale[:, None] * solved.weights, dtype=np.float32))
        intercepts = centred(np.asarray(solved.intercepts + shift @ solved.weights, dtype=np.float32))
        known = {label: number for number, label in enumerate(earlier.labels)}
        here = [number for number, label in enumerate(labels) if label in known]
        there = [known[labels[number]] for number in here]
        weights[:, here] = centred(old.weights)[:, there]
        intercepts[here] = centred(old.intercepts)[there]
        return cls(old.mean, old.scale, weights, intercepts)

    def counted_in(self, unit: Unit | None) -> HeadStart:
        """The head whose scores are in the unit of a training; None for the unit of the outputs."""
        if unit is None:
            return self
        weights = np.asarray(self.weights / unit.deviation, dtype=np.float32)
        intercepts = np.asarray((self.intercepts - unit.mean) / unit.deviation, dtype=np.float32)
        return replace(self, weights=weights, intercepts=intercepts)

    @classmethod
    def zero(cls, width: int, outputs: int, *, like: HeadStart | None = None) -> HeadStart:
        """A head of zero weights; features are standardised as in `like`, or used as they are."""
        mean = like.mean if like else np.zeros(width, dtype=np.float32)
        scale = like.scale if like else np.ones(width, dtype=np.float32)
        weights = np.zeros((width, outputs), dtype=np.float32)
        return cls(mean, scale, weights, np.zeros(outputs, dtype=np.float32))


def _centred(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Values minus their mean over the classes, which are the last axis."""
    mean: npt.NDArray[np.float32] = values.mean(axis=-1, keepdims=True, dtype=np.float32)
    return values - mean


class LinearHead(nn.Module):
    """From the last stage's activation to scores `(N, K) float32`: pooling, standardisation, dropout, linear.

    Dropout as in Srivastava et al. 2014, inverted: kept features are divided by the probability of keeping.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, start: HeadStart, statistic: Statistic, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.statistic = statistic
        self.register_buffer("mean", torch.from_numpy(start.mean.copy()))
        self.register_buffer("scale", torch.from_numpy(start.scale.copy()))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(*start.weights.shape)
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(start.weights.T.copy()))
            self.linear.bias.copy_(torch.from_numpy(start.intercepts.copy()))

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        feature = dict(summarise(activation))[self.statistic].float()
        with torch.autocast(feature.device.type, enabled=False):  # as in prediction: heads work in fp32
            standard = (feature - self.mean) * self.scale
            scores: torch.Tensor = self.linear(self.dropout(standard))
        return scores

    def solved(self, columns: Sequence[Column], *, link: Link = "softmax", unit: Unit | None = None) -> Head:
        """This head in the form of a solved one, which every runtime and bundle can use.

        Args:
            columns: the feature columns that it reads.
            link: the link of the task.
            unit: the unit in which the head was trained, which becomes a part of the weights.
        """
        weights, intercepts = self.linear.weight.detach().T, self.linear.bias.detach()
        if unit is not None:
            weights, intercepts = weights * unit.deviation, intercepts.double() * unit.deviation + unit.mean
        arrays = {"mean": self.mean, "scale": self.scale, "weights": weights, "intercepts": intercepts}
        record = HeadRecord(kind=TRAINED_HEADS[link], columns=tuple(columns), hyperparameters={}, link=link)
        return Head(record, {name: array.float().cpu().numpy().copy() for name, array in arrays.items()})
