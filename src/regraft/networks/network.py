"""A network with its weights, as ordered stages: what everything above works with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from regraft.networks.building import build, load_state, with_drop_path
from regraft.networks.cuts import cut_count
from regraft.networks.stages import Stage, split_into_stages
from regraft.networks.weights import Weights
from regraft.networks.zoo import card
from regraft.records import InputSpec, WeightsSource


@dataclass(frozen=True)
class Network:
    """Stages in order, then the classifier that it was trained with."""

    name: str
    input_spec: InputSpec
    source: WeightsSource
    stages: tuple[Stage, ...]
    classifier: nn.Module
    module: nn.Module
    """The network as its library builds it; stages share its parameters and buffers."""

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages, from the image to the classifier."""
        return tuple(stage.name for stage in self.stages)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the original classes from normalised images `(N, C, H, W) float32`."""
        for stage in self.stages:
            images = stage.module(images)
        logits: torch.Tensor = self.classifier(images)
        return logits

    def cut(self, place: str | int) -> tuple[nn.Sequential, nn.Sequential]:
        """The network as `(prefix, tail)` at a cut; the classifier belongs to neither.

        Args:
            place: a stage's name (the prefix ends with it), a count of stages (`3`) or a share (`60%`).
        """
        count = cut_count(self.stage_names, place)
        modules = [stage.module for stage in self.stages]
        return nn.Sequential(*modules[:count]), nn.Sequential(*modules[count:])


def load_network(weights: Weights, *, drop_path: float = 0.0) -> Network:
    """Build a network, load its weights strictly, and split it into stages; all in evaluation mode.

    Args:
        weights: which, and its recipe.
        drop_path: rate of stochastic depth, which acts in training mode only.

    Raises:
        NetworkError: the network can't be staged, or has no stochastic depth to set.
    """
    module = build(with_drop_path(weights.recipe, drop_path))
    load_state(module, weights.path)
    module.requires_grad_(False)
    known = card(weights.network)
    staged = split_into_stages(module, extra_levels=known.stage_levels if known else 0)
    return Network(
        weights.network, weights.input_spec, weights.source, staged.stages, staged.classifier, module
    )
