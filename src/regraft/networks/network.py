"""A network with its weights, as ordered stages: what everything above works with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from regraft.errors import NetworkError
from regraft.networks.auxiliaries import find_auxiliaries
from regraft.networks.building import build, with_drop_path
from regraft.networks.cuts import cut_count
from regraft.networks.stages import Stage, StagedNetwork, keep_uncut, split_into_stages
from regraft.networks.states import load_state
from regraft.networks.weights import Weights
from regraft.networks.zoo import card_of
from regraft.records import InputSpec, Recipe, WeightsSource


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
    uncut: str = ""
    """Why it is a single stage, where it can't be divided."""
    auxiliaries: tuple[tuple[str, nn.Module], ...] = ()
    """Classifiers beside the trunk that only train, each with the stage whose output it reads."""

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
        NetworkError: the network has no stochastic depth to set.
    """
    module = build(with_drop_path(weights.recipe, drop_path))
    load_state(module, weights.path)
    module.requires_grad_(False)
    staged, uncut = stages_of(module, weights.recipe)
    return Network(
        weights.network,
        weights.input_spec,
        weights.source,
        staged.stages,
        staged.classifier,
        module,
        uncut,
        find_auxiliaries(module, weights.recipe),
    )


def stages_of(module: nn.Module, recipe: Recipe) -> tuple[StagedNetwork, str]:
    """A network's stages as its recipe divides it, and why it is one stage where it can't be divided."""
    known = card_of(recipe)
    wanted = known.recipe.stages if known and recipe.stages == "default" else recipe.stages
    try:
        return split_into_stages(module, fine=wanted == "fine"), ""
    except NetworkError as error:
        return keep_uncut(module), str(error)
