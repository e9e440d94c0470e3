"""The part of a network that is trained: the stages after the cut, and the head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from regraft.features.pooling import summarise
from regraft.heads.head import Head
from regraft.networks.stages import Stage
from regraft.records import Column, HeadRecord, Statistic
from regraft.storage.files import sha256_of

_BatchNorm = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class EarlierHead:
    """The head of an earlier run, some of whose classes may be the same."""

    labels: tuple[str, ...]
    head: Head
    """A logistic head."""

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
        """A solved logistic head, with its features rescaled to unit variance.

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
        """The earlier head for classes of the same name, the solved head for the others, made comparable.

        Both are converted to the earlier standardisation, and each to a mean of zero over its classes, which
        does not change its probabilities.
        """
        old = cls.from_solved(earlier.head)
        scale = np.divide(solved.scale, old.scale, out=np.zeros_like(old.scale), where=old.scale != 0)
        shift = (old.mean - solved.mean) * solved.scale
        weights = _centred(np.asarray(scale[:, None] * solved.weights, dtype=np.float32))
        intercepts = _centred(np.asarray(solved.intercepts + shift @ solved.weights, dtype=np.float32))
        known = {label: number for number, label in enumerate(earlier.labels)}
        here = [number for number, label in enumerate(labels) if label in known]
        there = [known[labels[number]] for number in here]
        weights[:, here] = _centred(old.weights)[:, there]
        intercepts[here] = _centred(old.intercepts)[there]
        return cls(old.mean, old.scale, weights, intercepts)

    @classmethod
    def zero(cls, width: int, num_classes: int, *, like: HeadStart | None = None) -> HeadStart:
        """A head of zero weights; features are standardised as in `like`, or used as they are."""
        mean = like.mean if like else np.zeros(width, dtype=np.float32)
        scale = like.scale if like else np.ones(width, dtype=np.float32)
        weights = np.zeros((width, num_classes), dtype=np.float32)
        return cls(mean, scale, weights, np.zeros(num_classes, dtype=np.float32))


def _centred(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Values minus their mean over the classes, which are the last axis."""
    mean: npt.NDArray[np.float32] = values.mean(axis=-1, keepdims=True, dtype=np.float32)
    return values - mean


class LinearHead(nn.Module):
    """From the last stage's activation to logits `(N, K) float32`: pooling, standardisation, dropout, linear.

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
            logits: torch.Tensor = self.linear(self.dropout(standard))
        return logits

    def solved(self, columns: Sequence[Column], *, temperature: float = 1.0) -> Head:
        """This head in the form of a solved one, which every runtime and bundle can use."""
        arrays = {
            "mean": self.mean,
            "scale": self.scale,
            "weights": self.linear.weight.detach().T,
            "intercepts": self.linear.bias.detach(),
        }
        record = HeadRecord(
            kind="logistic", columns=tuple(columns), hyperparameters={}, temperature=temperature
        )
        return Head(record, {name: array.float().cpu().numpy().copy() for name, array in arrays.items()})


class Tail(nn.Module):
    """The stages after a cut, then a head: from activations to logits `(N, K) float32`.

    Args:
        stages: the stages in order; may be empty.
        head: the head, which reads the last stage's activation.
        trains_batchnorm: whether BatchNorm uses the statistics of batches; otherwise its own stay fixed.
        auxiliaries: classifiers used only in training, by the number of the stage whose output they read.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        head: LinearHead,
        *,
        trains_batchnorm: bool = False,
        auxiliaries: Mapping[int, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.names = tuple(stage.name for stage in stages)
        self.stages = nn.ModuleList([stage.module for stage in stages])
        self.head = head
        self.auxiliaries = nn.ModuleDict({str(at): one for at, one in (auxiliaries or {}).items()})
        self.trains_batchnorm = trains_batchnorm
        self._first = 0
        self.train_from(0)

    def train_from(self, first: int) -> None:
        """Train the stages from number `first` on, and the head; freeze the stages before."""
        self._first = first
        for number, stage in enumerate(self.stages):
            stage.requires_grad_(number >= first)
        for at, auxiliary in self.auxiliaries.items():
            auxiliary.requires_grad_(int(at) >= first)
        self.head.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Tail:
        """Set training or evaluation mode; frozen stages and BatchNorms always stay in evaluation mode."""
        super().train(mode)
        numbered = [*enumerate(self.stages), *((int(at), one) for at, one in self.auxiliaries.items())]
        for number, part in numbered:
            for module in part.modules():
                if number < self._first or (isinstance(module, _BatchNorm) and not self.trains_batchnorm):
                    module.training = False
        return self

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        return self.all_logits(activation)[0]

    def all_logits(self, activation: torch.Tensor) -> list[torch.Tensor]:
        """The head's logits and, in training mode, those of the auxiliary classifiers that are trained."""
        beside: list[torch.Tensor] = []
        for number, stage in enumerate(self.stages):
            activation = stage(activation)
            if self.training and number >= self._first and str(number) in self.auxiliaries:
                beside.append(self.auxiliaries[str(number)](activation))
        return [self.head(activation), *beside]

    def parts(self) -> Iterator[tuple[str, int, nn.Module]]:
        """The trained parts as `(name, number of stages after it, module)`; the head comes last."""
        for number in range(self._first, len(self.stages)):
            yield self.names[number], len(self.stages) - 1 - number, self.stages[number]
        for at, auxiliary in self.auxiliaries.items():
            if int(at) >= self._first:
                yield f"auxiliary after {self.names[int(at)]}", 0, auxiliary
        yield "head", 0, self.head

    def snapshot(self) -> dict[str, torch.Tensor]:
        """A copy of every parameter and buffer, by name."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}

    @torch.no_grad()
    def restore(self, values: Mapping[str, torch.Tensor]) -> None:
        """Copy values into the parameters and buffers of the same names, keeping their memory layout."""
        own = self.state_dict()
        for name, value in values.items():
            own[name].copy_(value)

    def statistics(self) -> dict[str, torch.Tensor]:
        """The buffers that a forward pass in training mode changes."""
        if not self.trains_batchnorm:
            return {}
        return {
            name: value for name, value in self.named_buffers() if "running_" in name or "num_batches" in name
        }


def channels_last(module: nn.Module) -> None:
    """Put the weights of convolutions into the memory layout of the fastest CPU and GPU kernels."""
    for one in module.modules():
        if isinstance(one, nn.Conv2d):  # tensors of other ranks have no such layout
            one.to(memory_format=torch.channels_last)


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with soft targets, `(N,)`, nats: `-sum_k targets_k log softmax(logits)_k`.

    >>> import math
    >>> loss = soft_cross_entropy(torch.zeros(1, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0]]))
    >>> math.isclose(float(loss), math.log(4), rel_tol=1e-6)
    True
    """
    return -(targets * functional.log_softmax(logits.float(), dim=1)).sum(dim=1)


def autocast(device: torch.device, precision: str) -> Any:
    """Autocast to bf16 with fp32 weights, where it is safe (Micikevicius et al. 2018); no effect for fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
