"""A network with its weights, as ordered stages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from regraft.errors import NetworkError
from regraft.networks.architectures.auxiliaries import find_auxiliaries
from regraft.networks.architectures.building import build, with_drop_path
from regraft.networks.cuts import cut_count
from regraft.networks.stages import Stage, StagedNetwork, keep_uncut, split_into_stages
from regraft.networks.weights.finding import Weights
from regraft.networks.weights.states import load_state
from regraft.networks.zoo.cards import card_of
from regraft.records import InputSpec, Recipe, WeightsSource


@dataclass(frozen=True)
class Network:
    """A network as stages in order, and the classifier that it was trained with."""

    name: str
    input_spec: InputSpec
    source: WeightsSource
    stages: tuple[Stage, ...]
    classifier: nn.Module
    module: nn.Module
    """The network as its library builds it; the stages share its parameters and buffers."""
    uncut: str = ""
    """Why the network can't be divided and is a single stage; empty if it can be divided."""
    auxiliaries: tuple[tuple[str, nn.Module], ...] = ()
    """Classifiers that are used only in training, each with the stage whose output it reads."""

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages, from the image to the classifier."""
        return tuple(stage.name for stage in self.stages)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the original classes for normalised images `(N, C, H, W) float32`."""
        for stage in self.stages:
            images = stage.module(images)
        logits: torch.Tensor = self.classifier(images)
        return logits

    def cut(self, place: str | int) -> tuple[nn.Sequential, nn.Sequential]:
        """Divide the network at a cut into `(prefix, tail)`; the classifier belongs to neither.

        Args:
            place: a stage's name (the prefix ends with it), a count of stages (`3`) or a share (`60%`).
        """
        count = cut_count(self.stage_names, place)
        modules = [stage.module for stage in self.stages]
        return nn.Sequential(*modules[:count]), nn.Sequential(*modules[count:])


def load_network(weights: Weights, *, drop_path: float = 0.0) -> Network:
    """Build a network in evaluation mode, load its weights, and divide it into stages.

    Args:
        weights: the weights, with the network's recipe.
        drop_path: rate of stochastic depth, which has an effect only in training mode.

    Raises:
        NetworkError: the network has no stochastic depth.
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
    """The stages of a network according to its recipe, and the reason if it can't be divided."""
    known = card_of(recipe)
    wanted = known.recipe.stages if known and recipe.stages == "default" else recipe.stages
    try:
        return split_into_stages(module, fine=wanted == "fine"), ""
    except NetworkError as error:
        return keep_uncut(module), str(error)
