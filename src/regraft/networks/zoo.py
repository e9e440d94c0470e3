"""The networks that Regraft knows without importing them: their cards, read from a computed table.

`zoo.json` is written by `scripts/build_zoo.py`, which builds every network and counts; nothing in it
that can be computed is typed. Any other timm or torchvision classification network works by its name.
"""

from __future__ import annotations

import functools
import json
import math
from importlib import resources

from regraft.errors import UnknownNetworkError, close_names
from regraft.networks.licences import allows_commerce
from regraft.records import InputSpec, Recipe, Record


class StageCard(Record):
    """One stage in numbers, for one image at the card's input size."""

    name: str
    shape: tuple[int, ...]
    """Of its output: `(C, H, W)`, `(L, C)` or `(C,)`; `(H, W, C)` where channels come last."""
    parameters: int
    multiply_adds: int
    depth: int
    """Weighted layers on the longest way from the image to its output."""
    field_px: int | None
    """Side of its receptive field by windows alone, pixels; None where attention sees the whole image."""

    @property
    def channels(self) -> int:
        """Features that its output gives when pooled."""
        return channels_of(self.shape)

    @property
    def activation_bytes(self) -> int:
        """What a cut after it takes on disk for each image: half-precision values."""
        return 2 * math.prod(self.shape)


class Published(Record):
    """A figure that somebody else measured, and where it is printed."""

    value: float
    """Percent."""
    source: str
    multiply_adds: int | None = None
    """Of the network that was measured, at the input size that it was measured at."""


class Card(Record):
    """What there is to know about a network before using it. Counts are computed, facts have a source."""

    name: str
    family: str
    year: int | None = None
    paper: str = ""
    recipe: Recipe
    hub: str | None
    """Where its pretrained weights are published; None where nobody publishes them."""
    licence: str
    """Of the published weights."""
    input_spec: InputSpec
    smallest_px: int
    """Side of the smallest square input that it accepts, of the multiples of 8."""
    parameters: int
    """Auxiliary heads, which only train, are left out."""
    multiply_adds: int
    """Of one forward pass at the input size, classifier included."""
    depth: int
    """Weighted layers on the longest way from image to classes."""
    ilsvrc_top5: Published | None = None
    """Top-5 error of its entry in the ImageNet challenge (ILSVRC), usually an ensemble."""
    imagenet_top1: Published | None = None
    """Accuracy of one network on ImageNet-1k's validation images."""
    stages: tuple[StageCard, ...]
    classifier: StageCard

    @property
    def is_commercial(self) -> bool:
        """Whether the weights' licence allows commercial use, as far as its name says."""
        return allows_commerce(self.licence)


def channels_of(shape: tuple[int, ...]) -> int:
    """How many channels an activation of that shape has.

    >>> channels_of((512, 7, 7)), channels_of((7, 7, 512)), channels_of((197, 384)), channels_of((4096,))
    (512, 512, 384, 4096)
    """
    channels_first = len(shape) == 3 and not shape[0] == shape[1] != shape[2]
    return shape[0] if channels_first else shape[-1]


@functools.cache
def cards() -> dict[str, Card]:
    """All cards, by name. Imports neither torch nor timm."""
    text = resources.files("regraft.networks").joinpath("zoo.json").read_text(encoding="utf-8")
    return {entry["name"]: Card.model_validate(entry) for entry in json.loads(text)}


def card(name: str) -> Card | None:
    """The card of a network, or None if it is not in the table."""
    return cards().get(name)


def card_of(recipe: Recipe) -> Card | None:
    """The card of the network that a recipe builds, whatever that is called here."""
    known = [card for card in cards().values() if card.recipe.name == recipe.name]
    return next((card for card in known if card.recipe.library == recipe.library), None)


def unknown(name: str, known: list[str]) -> UnknownNetworkError:
    """The error for a name that no library has registered."""
    return UnknownNetworkError(
        f"no network is called {name!r}{close_names(name, known)}. `regraft zoo` lists those described here; "
        "any classification network of timm or torchvision works by its name there"
    )
