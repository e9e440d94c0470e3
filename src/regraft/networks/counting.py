"""Compute the card of any network in about a second: it is built without values and counted."""

from __future__ import annotations

import math

import torch
from torch import nn

from regraft.networks.anatomy import Count, count_parts
from regraft.networks.architectures.building import build
from regraft.networks.network import stages_of
from regraft.networks.zoo.cards import Card, StageCard, card
from regraft.networks.zoo.catalogues import find_recipe, published_at, sized, stated_licence
from regraft.records import InputSpec, Recipe

_SMALLEST: tuple[int, ...] = (*range(8, 129, 8), 160, 192, 224, 256, 299, 384, 448, 512, 600)


_FACTS = {"family", "year", "paper", "hub", "licence", "ilsvrc_top5", "imagenet_top1"}  # not computable


def describe_network(name: str, *, recipe: Recipe | None = None, input_spec: InputSpec | None = None) -> Card:
    """Compute the card of a network of the zoo, timm or torchvision, given by name.

    Args:
        name: a name that `regraft fit --network` accepts.
        recipe: how it is built and divided; None means its library's recipe.
        input_spec: its input; None means the network's own.

    Raises:
        UnknownNetworkError: no library has a network of that name.

    >>> describe_network("lenet5").depth
    5
    """
    if recipe is None or input_spec is None:
        known_recipe, known_spec = find_recipe(name)
        recipe, input_spec = recipe or known_recipe, input_spec or known_spec
    with torch.device("meta"):
        network = build(recipe)
    staged, _ = stages_of(network, recipe)
    parts = [*(stage.module for stage in staged.stages), staged.classifier]
    counts = count_parts(parts, (input_spec.channels, input_spec.size_px, input_spec.size_px))
    names = [*(stage.name for stage in staged.stages), "classifier"]
    cards = [_stage_card(name, count) for name, count in zip(names, counts, strict=True)]
    counted = Card(
        name=name,
        family=type(network).__name__,
        recipe=recipe,
        hub=published_at(recipe),
        licence=stated_licence(recipe),
        input_spec=input_spec,
        smallest_px=smallest_px(recipe, input_spec, network),
        parameters=sum(count.parameters for count in counts),
        multiply_adds=sum(count.multiply_adds for count in counts),
        depth=counts[-1].trace.depth,
        stages=tuple(cards[:-1]),
        classifier=cards[-1],
    )
    known = card(name)
    return counted.model_copy(update={fact: getattr(known, fact) for fact in _FACTS}) if known else counted


def _stage_card(name: str, count: Count) -> StageCard:
    field = count.trace.field_px
    return StageCard(
        name=name,
        shape=count.shape,
        parameters=count.parameters,
        multiply_adds=count.multiply_adds,
        depth=count.trace.depth,
        field_px=None if math.isinf(field) else round(field),
    )


def smallest_px(recipe: Recipe, spec: InputSpec, network: nn.Module | None = None) -> int:
    """Side of the smallest square input that a network accepts among common sizes; at most its own size."""
    own = spec.size_px
    for side in _SMALLEST:
        if side >= own:
            break
        if accepts(recipe, spec.channels, side, network):
            return side
    return own


def accepts(recipe: Recipe, channels: int, side: int, network: nn.Module | None = None) -> bool:
    """Whether a network's forward pass accepts square images of a given side.

    Args:
        recipe: recipe of the network.
        channels: number of channels of the images.
        side: side of the images in pixels.
        network: the network that the recipe builds, on the meta device; None to build it here.
    """
    changed = sized(recipe, side)
    try:
        if network is None or changed != recipe:
            with torch.device("meta"):
                network = build(changed)
        with torch.no_grad():
            network(torch.zeros(1, channels, side, side, device="meta"))
    except Exception:  # noqa: BLE001 (networks raise different errors for sizes that they don't accept)
        return False
    return True
