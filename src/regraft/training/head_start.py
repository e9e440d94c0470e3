"""The head that a training starts from: solved, zero, or that of an earlier run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regraft.errors import SettingsError
from regraft.features.pooling import summarise
from regraft.heads.dataset import Job
from regraft.heads.fitting import fit_head
from regraft.heads.head import Head
from regraft.progress import Reporter
from regraft.records import Column, HeadRecord, Statistic
from regraft.storage.files import sha256_of


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


def choose_start(
    job: Job,
    rows: Sequence[int],
    columns: tuple[Column, ...],
    *,
    kind: Literal["solved", "zero", "previous"],
    earlier: EarlierHead | None,
    reporter: Reporter,
) -> HeadStart:
    """The head to start from: solved on frozen features, zero on the same scale, or an earlier run's.

    Args:
        job: the images with their features.
        rows: the images on which a head is solved.
        columns: the features that the head reads.
        kind: as in `TrainSettings.head_start`.
        earlier: the head of the run that the weights come from.
        reporter: receives progress.

    Raises:
        SettingsError: there is no earlier run, or its head reads other features.
    """
    with reporter.phase("solving the head to start from", 1, "heads") as meter:
        solved = fit_head(job.training_rows(rows), "logistic", [columns])
        meter.advance()
    start = HeadStart.from_solved(solved.head)
    if kind == "zero":
        return HeadStart.zero(*start.weights.shape, like=start)
    if kind == "previous":
        return HeadStart.remapped(_suitable(earlier, columns), job.images.labels, start)
    return start


def _suitable(earlier: EarlierHead | None, columns: Sequence[Column]) -> EarlierHead:
    """The earlier run's head, if it reads the same features as the new one."""
    if earlier is None:
        raise SettingsError("--head-start previous needs --from with an earlier run that has the head")
    record = earlier.head.record
    reads = [(column.stage, column.statistic) for column in record.columns]
    wanted = [(column.stage, column.statistic) for column in columns]
    if record.kind != "logistic" or reads != wanted:
        raise SettingsError(
            "--head-start previous needs an earlier run with a logistic head on the last stage; the head "
            f"of this run is {record.kind} on {', '.join(dict.fromkeys(stage for stage, _ in reads))}"
        )
    return earlier


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
