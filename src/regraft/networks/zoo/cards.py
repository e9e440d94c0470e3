"""The cards of the networks that Regraft describes, read from a computed table.

`scripts/build_zoo.py` writes `zoo.json`; it builds and counts every network, so that everything that can be
computed is computed. Any other classification network of timm or torchvision works by its name.
"""

from __future__ import annotations

import functools
import json
import math
from importlib import resources

from regraft.errors import UnknownNetworkError, close_names
from regraft.networks.zoo.licences import allows_commerce
from regraft.records import InputSpec, Recipe, Record


class StageCard(Record):
    """The counts of one stage, for one image at the card's input size."""

    name: str
    shape: tuple[int, ...]
    """Shape of its output: `(C, H, W)`, `(L, C)` or `(C,)`; `(H, W, C)` if channels come last."""
    parameters: int
    multiply_adds: int
    depth: int
    """Number of weighted layers on the longest path from the image to its output."""
    field_px: int | None
    """Side of its receptive field (windows only); None if attention sees the whole image."""

    @property
    def channels(self) -> int:
        """Number of features of its pooled output."""
        return channels_of(self.shape)

    @property
    def activation_bytes(self) -> int:
        """Bytes of the activation of one image on disk, in half precision."""
        return 2 * math.prod(self.shape)


class Published(Record):
    """A figure from a publication, with its source."""

    value: float
    """The figure in per cent."""
    source: str
    multiply_adds: int | None = None
    """Multiply-adds of the measured network, at the measured input size."""


class Card(Record):
    """Facts about a network that are known without using it. Counts are computed, others have a source."""

    name: str
    family: str
    year: int | None = None
    paper: str = ""
    recipe: Recipe
    hub: str | None
    """Where its pretrained weights are published; None if they are not published."""
    licence: str
    """Licence of the published weights."""
    input_spec: InputSpec
    smallest_px: int
    """Side of the smallest square input that it accepts, among multiples of 8."""
    parameters: int
    """Number of parameters, without auxiliary classifiers."""
    multiply_adds: int
    """Multiply-adds of one forward pass at the input size, including the classifier."""
    depth: int
    """Number of weighted layers on the longest path from the image to the classes."""
    ilsvrc_top5: Published | None = None
    """Top-5 error of its entry in the ImageNet challenge (ILSVRC), usually an ensemble."""
    imagenet_top1: Published | None = None
    """Accuracy of a single network on the validation images of ImageNet-1k."""
    stages: tuple[StageCard, ...]
    classifier: StageCard

    @property
    def is_commercial(self) -> bool:
        """Whether the weights' licence allows commercial use, according to its name."""
        return allows_commerce(self.licence)


def channels_of(shape: tuple[int, ...]) -> int:
    """Number of channels of an activation with the given shape.

    >>> channels_of((512, 7, 7)), channels_of((7, 7, 512)), channels_of((197, 384)), channels_of((4096,))
    (512, 512, 384, 4096)
    """
    channels_first = len(shape) == 3 and not shape[0] == shape[1] != shape[2]
    return shape[0] if channels_first else shape[-1]


@functools.cache
def cards() -> dict[str, Card]:
    """All cards, by name; this imports neither torch nor timm."""
    text = resources.files("regraft.networks.zoo").joinpath("zoo.json").read_text(encoding="utf-8")
    return {entry["name"]: Card.model_validate(entry) for entry in json.loads(text)}


def card(name: str) -> Card | None:
    """The card of a network, or None if it is not in the table."""
    return cards().get(name)


def card_of(recipe: Recipe) -> Card | None:
    """The card of the network that a recipe builds; None if it is not in the table."""
    known = [card for card in cards().values() if card.recipe.name == recipe.name]
    return next((card for card in known if card.recipe.library == recipe.library), None)


def unknown(name: str, known: list[str]) -> UnknownNetworkError:
    """The error for a name that no library knows."""
    return UnknownNetworkError(
        f"no network is called {name!r}{close_names(name, known)}. `regraft zoo` lists those described here; "
        "any other classification network of timm or torchvision works by its name, too"
    )
