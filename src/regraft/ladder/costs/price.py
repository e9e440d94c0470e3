"""What a contender costs when it predicts: passes through networks, and the multiply-adds of its heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from regraft.networks.weights.finding import Weights
from regraft.prediction.voter import Voter

_NOTICED = 1.05
"""A cost that is higher by less than a twentieth is not worth a word."""


def networks_of(voters: Sequence[Voter]) -> list[Weights]:
    """The networks that one image goes through: voters that read the same network share a pass."""
    return list({voter.weights.sha256: voter.weights for voter in voters}.values())


def image_s(voters: Sequence[Voter], pass_s: Callable[[Weights], float], multiply_add_s: float) -> float:
    """Predicted seconds for one image, from its file to its class.

    Args:
        voters: the models that vote.
        pass_s: returns the seconds of one pass through a network, with reading and decoding the image.
        multiply_add_s: seconds of one multiply-add of a head.
    """
    heads = sum(math.prod(array.shape) for voter in voters for array in voter.head.arrays.values())
    return sum(map(pass_s, networks_of(voters))) + heads * multiply_add_s


def compared(new_s: float, old_s: float) -> str:
    """What a contender costs instead of the one that is kept, in words; empty if it costs no more.

    >>> compared(0.0021, 0.0019), compared(0.0019, 0.0019)
    ('2.1 ms an image instead of 1.9', '')
    """
    if new_s < _NOTICED * old_s:
        return ""
    return f"{1e3 * new_s:.1f} ms an image instead of {1e3 * old_s:.1f}"
