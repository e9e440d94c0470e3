"""What a contender costs when it predicts: passes through networks, and the multiply-adds of its heads."""

from __future__ import annotations

import math
from collections.abc import Sequence

from regraft.prediction.voter import Voter

_NOTICED = 1.05
"""A cost that is higher by less than a twentieth is not worth a word."""


def passes(voters: Sequence[Voter]) -> int:
    """Number of network passes for one image: voters that read the same network share a pass."""
    return len({voter.weights.sha256 for voter in voters})


def image_s(voters: Sequence[Voter], extract_s: float, multiply_add_s: float) -> float:
    """Predicted seconds for one image, from its file to its class.

    Args:
        voters: the models that vote.
        extract_s: measured seconds of one pass, with reading and decoding the image.
        multiply_add_s: seconds of one multiply-add of a head.
    """
    heads = sum(math.prod(array.shape) for voter in voters for array in voter.head.arrays.values())
    return passes(voters) * extract_s + heads * multiply_add_s


def compared(new_s: float, old_s: float) -> str:
    """What a contender costs instead of the one that is kept, in words; empty if it costs no more.

    >>> compared(0.0021, 0.0019), compared(0.0019, 0.0019)
    ('2.1 ms an image instead of 1.9', '')
    """
    if new_s < _NOTICED * old_s:
        return ""
    return f"{1e3 * new_s:.1f} ms an image instead of {1e3 * old_s:.1f}"
