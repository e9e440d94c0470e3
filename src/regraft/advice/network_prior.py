"""How well networks usually transfer: a table of our measurements, extended by ImageNet accuracies."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np

from regraft.networks.zoo.cards import card

_LINE_OF_TWO = 2  # networks needed for a line through (top-1, measured)
_UNKNOWN = 0.0


@dataclass(frozen=True)
class Prior:
    """The accuracy expected of a network before any image is looked at."""

    network: str
    expected: float
    """Mean accuracy of probes over our data sets, in per cent."""
    source: str
    """Source of the value: `measured`, `from its ImageNet top-1`, or `unknown`."""


@functools.cache
def _table() -> dict[str, float]:
    text = resources.files("regraft.advice").joinpath("network_prior.json").read_text(encoding="utf-8")
    return {name: float(value) for name, value in json.loads(text)["networks"].items()}


def prior_of(network: str) -> Prior:
    """The expected accuracy of one network.

    A network that we have not measured gets the value of the line through (ImageNet top-1, measured mean)
    of those that we have: better ImageNet networks transfer better (Kornblith et al. 2019, figure 2).
    """
    table = _table()
    if network in table:
        return Prior(network, table[network], "measured")
    top1 = _top1(network)
    known = [(_top1(name), value) for name, value in table.items()]
    points = [(x, y) for x, y in known if x is not None]
    if top1 is None or len(points) < _LINE_OF_TWO:
        return Prior(network, _UNKNOWN, "unknown")
    slope, start = np.polyfit([x for x, _ in points], [y for _, y in points], 1)
    return Prior(network, float(start + slope * top1), "from its ImageNet top-1")


def _top1(network: str) -> float | None:
    known = card(network)
    return known.imagenet_top1.value if known and known.imagenet_top1 else None


def in_order(networks: list[str]) -> list[Prior]:
    """The networks, the most promising first; equal ones are sorted by name."""
    return sorted((prior_of(name) for name in networks), key=lambda prior: (-prior.expected, prior.network))
