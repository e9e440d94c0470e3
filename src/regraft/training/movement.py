"""How much training changed each stage: its weights and its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from regraft.features.extraction import Features
from regraft.networks.network import Network
from regraft.records import columns_of

Floats = npt.NDArray[np.float64]
_MOST_IMAGES = 1_000


@dataclass(frozen=True)
class Movement:
    """How much training changed one stage."""

    stage: str
    weight_change: float
    """`|w - w0| / |w0|` over all parameters of the stage (Euclidean norms); 0 for a frozen stage."""
    feature_similarity: float
    """Linear CKA of the stage's features before and after training, in [0, 1]; 1 for unchanged features."""


def stage_weights(network: Network) -> dict[str, torch.Tensor]:
    """A copy of each stage's parameters, as one vector per stage."""
    return {
        stage.name: torch.cat([p.detach().reshape(-1).float().cpu() for p in stage.module.parameters()])
        if any(True for _ in stage.module.parameters())
        else torch.zeros(0)
        for stage in network.stages
    }


def movements(
    before: Mapping[str, torch.Tensor],
    after: Mapping[str, torch.Tensor],
    *,
    old: Features,
    new: Features,
    keys: Sequence[str],
) -> list[Movement]:
    """The change of every stage between two states of a network.

    Args:
        before: result of `stage_weights` before training.
        after: result of `stage_weights` after training.
        old: features of the network before training.
        new: features of the trained network.
        keys: images that have both features; the first 1,000 are compared.
    """
    chosen = list(dict.fromkeys(keys))[:_MOST_IMAGES]
    result = []
    for stage, start in before.items():
        columns = columns_of(new.layout, [stage], ("mean", "token"))
        scale = float(start.norm())
        change = float((after[stage] - start).norm()) / scale if scale else 0.0
        pair = [features.matrix(chosen, columns).astype(np.float64) for features in (old, new)]
        result.append(Movement(stage, change, linear_cka(*pair)))
    return result


def linear_cka(one: Floats, other: Floats) -> float:
    """Linear centred kernel alignment of two sets of features of the same images.

    Source: Kornblith et al. 2019, equation 5.

    Args:
        one: `(N, D1)`.
        other: `(N, D2)`.

    Returns:
        1 for features that are equal up to rotation and scale, near 0 for unrelated ones.

    >>> features = np.random.default_rng(0).normal(size=(50, 4))
    >>> turn = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    >>> round(linear_cka(features, 3 * features @ turn), 6)
    1.0
    """
    a, b = one - one.mean(axis=0), other - other.mean(axis=0)
    cross = float(np.square(a.T @ b).sum())
    norm = float(np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    return cross / norm if norm else 1.0
