"""How much a detector still says of a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.found import Found
from regraft.evaluation.boxes import overlaps


def support(found: Sequence[Found], corners: npt.ArrayLike, number: int) -> npt.NDArray[Any]:
    """The support of a box of a class: of the boxes of this class, the largest overlap times probability.

    A box that moves away, changes its class or becomes less probable supports it less.

    Args:
        found: what was found, for each of N versions of a picture.
        corners: the box, `(4,)`.
        number: the number of its class.

    Returns:
        `(N,) float32` in [0, 1]; 0 where no box of the class overlaps.

    Source: Petsiuk et al. 2021, "Black-box explanation of object detectors via saliency maps" (D-RISE),
    equation 3; with calibrated probabilities of the class in place of objectness and similarity of classes.

    >>> moved = Found.of([[0, 0, 10, 5], [0, 0, 10, 10]], [0, 1], [0.8, 0.9])
    >>> support([moved], [0, 0, 10, 10], 0).round(6).tolist()
    [0.4000000059604645]
    """
    box = np.asarray(corners, dtype=np.float64).reshape(1, 4)
    values = np.zeros(len(found), np.float32)
    for place, one in enumerate(found):
        own = one.classes == number
        if own.any():
            values[place] = (overlaps(box, one.corners[own])[0] * one.scores[own]).max()
    return values
