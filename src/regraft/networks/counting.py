"""The card of any network, computed: built without values and counted, in about a second."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from regraft.networks.anatomy import Count, count_parts
from regraft.networks.building import build
from regraft.networks.catalogues import find_recipe, published_at, sized, stated_licence
from regraft.networks.network import stages_of
from regraft.networks.zoo import Card, StageCard
from regraft.records import InputSpec, Recipe

_SMALLEST: tuple[int, ...] = (*range(8, 129, 8), 160, 192, 224, 256, 299, 384, 448, 512, 600)


def describe_network(name: str, **facts: Any) -> Card:
    """The card of a network of the zoo, timm or torchvision by its name.

    Args:
        name: as `regraft fit --network` takes it.
        facts: what can't be computed (`family`, `year`, `paper`, published figures); a recipe or an input
            other than the library's own.

    Raises:
        UnknownNetworkError: no library has it.
    """
    recipe, spec = facts.pop("recipe", None), facts.pop("input_spec", None)
    if recipe is None or spec is None:
        known_recipe, known_spec = find_recipe(name)
        recipe, spec = recipe or known_recipe, spec or known_spec
    with torch.device("meta"):
        network = build(recipe)
    staged, _ = stages_of(network, recipe)
    parts = [stage.module for stage in staged.stages]
    counts = count_parts([*parts, staged.classifier], (spec.channels, spec.size_px, spec.size_px))
    names = [*(stage.name for stage in staged.stages), "classifier"]
    cards = [_stage_card(name, count) for name, count in zip(names, counts, strict=True)]
    return Card(
        name=name,
        family=facts.pop("family", type(network).__name__),
        year=facts.pop("year", None),
        paper=facts.pop("paper", ""),
        recipe=recipe,
        hub=facts.pop("hub", published_at(recipe)),
        licence=facts.pop("licence", stated_licence(recipe)),
        input_spec=spec,
        smallest_px=smallest_px(recipe, spec, network),
        parameters=sum(count.parameters for count in counts),
        multiply_adds=sum(count.multiply_adds for count in counts),
        depth=counts[-1].trace.depth,
        stages=tuple(cards[:-1]),
        classifier=cards[-1],
        **facts,
    )


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
    """Side of the smallest square input that a network accepts, of the multiples of 8; its own if none is."""
    own = spec.size_px
    for side in _SMALLEST:
        if side >= own:
            break
        if accepts(recipe, spec.channels, side, network):
            return side
    return own


def accepts(recipe: Recipe, channels: int, side: int, network: nn.Module | None = None) -> bool:
    """Whether a network's forward pass takes images of that side.

    Args:
        recipe: of the network.
        channels: of the images.
        side: pixels.
        network: as the recipe builds it, on the meta device, where it is at hand.
    """
    changed = sized(recipe, side)
    try:
        if network is None or changed != recipe:
            with torch.device("meta"):
                network = build(changed)
        with torch.no_grad():
            network(torch.zeros(1, channels, side, side, device="meta"))
    except Exception:  # whatever a network raises on a size that it can't take
        return False
    return True
