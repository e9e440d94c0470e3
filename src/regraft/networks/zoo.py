"""The networks that Regraft knows without importing them: their cards, read from a computed table.

`zoo.json` is written by `scripts/build_zoo.py`, which builds every network and counts; nothing in it
that can be computed is typed. Any other timm or torchvision classification network works by its name.
"""

from __future__ import annotations

import functools
import json
from importlib import resources

from regraft.errors import UnknownNetworkError, close_names
from regraft.records import InputSpec, Recipe, Record

# Tried in this order when no network is named: accuracy of transfer for the time it takes, as ranked by
# ImageNet top-1 of each default checkpoint (timm results table), the lightest of equals first.
PREFERRED = (
    "convnext_tiny",
    "vit_small_patch16_224",
    "resnet50",
    "efficientnet_b0",
    "mobilenetv1_100",
    "mobilenetv2_100",
    "resnet34",
    "resnet18",
    "vgg16",
    "squeezenet1_1",
)


class StageCard(Record):
    """One stage in numbers."""

    name: str
    shape: tuple[int, ...]
    """Of its output for one image: `(C, H, W)`, `(L, C)` or `(C,)`."""
    parameters: int


class Card(Record):
    """What there is to know about a network before using it."""

    name: str
    family: str
    year: int
    paper: str
    recipe: Recipe
    hub: str | None
    """Where its pretrained weights are published; None where the package ships them."""
    licence: str
    """Of the published weights."""
    input_spec: InputSpec
    parameters: int
    multiply_adds: int
    """Of one forward pass at the input size."""
    stage_levels: int
    """Module levels below the default at which its stages are taken."""
    stages: tuple[StageCard, ...]


@functools.cache
def cards() -> dict[str, Card]:
    """All cards, by name. Imports neither torch nor timm."""
    text = resources.files("regraft.networks").joinpath("zoo.json").read_text(encoding="utf-8")
    return {entry["name"]: Card.model_validate(entry) for entry in json.loads(text)}


def card(name: str) -> Card | None:
    """The card of a network, or None if it is not in the table."""
    return cards().get(name)


def unknown(name: str, known: list[str]) -> UnknownNetworkError:
    """The error for a name that no library has registered."""
    return UnknownNetworkError(
        f"no network is called {name!r}{close_names(name, known)}. `regraft zoo` lists those described here; "
        "any classification network of timm or torchvision works by its name there"
    )
