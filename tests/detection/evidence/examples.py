"""A picture, and a detector whose answer is known: it finds a box as surely as its spot can be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from regraft.data.pictures.loading import Pixels
from regraft.detection.evidence.evidence import Claim
from regraft.detection.evidence.looking import Look, Looking
from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.found import Found

BOX = (64.0, 40.0, 128.0, 88.0)
PROBABILITY = 0.8
_RED, _BLUE = (250, 0, 0), (0, 0, 250)


@dataclass(frozen=True)
class SpotDetector(Looking):
    """Finds a box with a probability in proportion to how much of the red spots is left on the canvas."""

    red: int = 0
    """Number of red pixels in the whole picture."""

    def found(self, canvases: Pixels, placement: Placement) -> list[Found]:
        left = (canvases == np.array(_RED, np.uint8)).all(axis=-1).sum(axis=(1, 2))
        return [Found.of([BOX], [0], [PROBABILITY * count / self.red]) for count in left]


def spotted(*spots: tuple[slice, slice]) -> tuple[SpotDetector, Look, Claim]:
    """A blue picture of 256 x 160 pixels on a canvas of the same size, with red spots."""
    pixels = np.empty((160, 256, 3), np.uint8)
    pixels[:] = _BLUE
    for spot in spots:
        pixels[spot] = _RED
    red = int((pixels == np.array(_RED, np.uint8)).all(axis=-1).sum())
    found = Found.of([BOX], [0], [PROBABILITY])
    nothing: Any = None
    look = Look(
        "a.png", "0" * 64, pixels, Placement(256, 160, 256, 160), np.zeros(0, np.float16), found, found
    )
    return SpotDetector(nothing, nothing, red), look, Claim(np.array(BOX), 0, PROBABILITY)
