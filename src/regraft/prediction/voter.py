"""A network with a head that reads it: a model alone, or one of several that vote."""

from __future__ import annotations

from dataclasses import dataclass

from regraft.heads.head import Head
from regraft.networks.weights.finding import Weights
from regraft.records import Column


@dataclass(frozen=True)
class Voter:
    """A network and the head that reads some of its stages."""

    weights: Weights
    head: Head
    layout: tuple[Column, ...]
    """All feature columns of the network; the head reads some of them."""
