"""A detector that looks at single pictures, and at what is left of them when parts are covered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import LoadLimits, Pixels, read_file
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.thresholds import LEAST_PROBABILITY
from regraft.detection.maps.canvas import Placement, on_canvas
from regraft.detection.maps.found import Found
from regraft.features.extraction import as_half
from regraft.features.runtimes import Runtime
from regraft.storage.files import sha256_of


@dataclass(frozen=True)
class Look:
    """A picture on the canvas, and what the detector says of it."""

    path: str
    """The name of the picture, as it was given."""
    sha256: str
    """Hash of the picture's file."""
    pixels: Pixels
    """The canvas, `(H, W, C) uint8`."""
    placement: Placement
    row: npt.NDArray[np.float16]
    """The network's maps of the picture."""
    found: Found
    """The boxes whose probability is at least .01, in pixels of the upright picture."""
    shown: Found
    """Those from the detector's thresholds on."""


@dataclass(frozen=True)
class Looking:
    """A detector with its network loaded.

    Args:
        detector: the detector.
        runtime: computes the maps of its network.
    """

    detector: Detector
    runtime: Runtime

    def look(self, path: str | Path, limits: LoadLimits | None = None) -> Look:
        """Look at a picture; the boxes are those of `Detector.predict`.

        Raises:
            ImageError: the picture can't be used; the message is the reason.
        """
        data = read_file(Path(path), limits)
        pixels, placement = on_canvas(data, self.detector.weights.input_spec, limits=limits)
        row = as_half(self._rows(pixels[None])[0])
        (every,) = self.detector.on_maps([row], [placement])
        found = every.above(LEAST_PROBABILITY)
        shown = found.above(np.asarray(self.detector.thresholds))
        return Look(str(path), sha256_of(data), pixels, placement, row, found, shown)

    def found(self, canvases: Pixels, placement: Placement) -> list[Found]:
        """What is found on changed canvases `(N, H, W, C) uint8` of one picture."""
        return self.detector.on_maps(self._rows(canvases), [placement] * len(canvases))

    def _rows(self, canvases: Pixels) -> list[npt.NDArray[Any]]:
        rows = dict(self.runtime.run(enumerate(canvases)))
        return [rows[number] for number in range(len(canvases))]
