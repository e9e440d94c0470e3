"""Whether the prior knows a network that is clearly better than the one that was used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from regraft.advice.network_prior import in_order, prior_of
from regraft.networks.zoo.cards import Card, card, cards

CLEARLY_POINTS = 1.0
"""Expected points from which another network is worth a try; measured networks that differ by less changed
places from one data set to the next."""


@dataclass(frozen=True)
class Better:
    """A network that is expected to classify better."""

    network: str
    points: float
    """Expected gain in points, by the prior."""
    source: str
    """Where the prior has it from."""
    times: float
    """Its multiply-adds for an image, as a multiple of those of the network that was used."""
    is_here: bool
    """Whether its weights are on this machine."""

    @property
    def described(self) -> str:
        """The end of the sentence "what would help most"."""
        how = f"--network {self.network}"
        if not self.is_here:
            how = f"regraft weights fetch {self.network}, then {how}"
        return (
            f"another network: {self.network} is expected to classify {self.points:.1f} points better "
            f"(prior, {self.source}), with {self.times:.1f} times the work for an image: {how}"
        )


def better_network(
    own: str,
    *,
    here: Collection[str],
    compared: Collection[str] = (),
    most_multiply_adds: float,
    accept_licence: bool = False,
) -> Better | None:
    """The best network by the prior, if it is at least a point better than this one; None otherwise.

    Args:
        own: name of the network that was used.
        here: names of the networks with weights on this machine; others must be published.
        compared: names of networks that probes on the user's images compared already.
        most_multiply_adds: largest work for an image that the budget allows.
        accept_licence: whether weights whose licence forbids commercial use are considered.
    """
    known, prior = card(own), prior_of(own)
    if known is None or prior.source == "unknown":
        return None
    candidates = [
        one.name
        for one in cards().values()
        if one.name not in compared
        and (one.name in here or one.hub is not None)
        and one.multiply_adds <= most_multiply_adds
        and (accept_licence or one.is_commercial)
        and one.input_spec.channels == known.input_spec.channels
    ]
    best = next(iter(in_order(candidates)), None)
    if best is None or best.expected - prior.expected < CLEARLY_POINTS:
        return None
    times = _work(card(best.network)) / _work(known)
    return Better(best.network, best.expected - prior.expected, best.source, times, best.network in here)


def _work(one: Card | None) -> float:
    return float(one.multiply_adds) if one else float("nan")
