"""What a network's maps show inside a box, as one row: the mean of each channel over the box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.solved.alignment import aligned
from regraft.records import MapLevel

Floats = npt.NDArray[Any]
BINS = 4
"""Number of points along each side of a box at which maps are read."""
_BOXES = 32  # boxes that are read at once, so that memory stays bounded


def box_rows(row: Floats, levels: Sequence[MapLevel], corners: Floats) -> Floats:
    """The mean of every channel inside each box, of all levels side by side.

    A channel is read at 4 x 4 points of the box by bilinear interpolation, as RoIAlign does (He et al. 2017,
    section 3), and averaged.

    Args:
        row: the maps of one picture, `(F,)`.
        levels: the levels of the row.
        corners: `(N, 4)`, boxes in pixels of the canvas.

    Returns:
        `(N, C) float32`, C being the number of channels of all levels.
    """
    parts = []
    for level in levels:
        values = row[level.start : level.stop].reshape(level.height, level.width, level.channels)
        cells, boxes = values.astype(np.float32), corners / level.stride
        means = [
            aligned(cells, boxes[start : start + _BOXES], BINS)
            .reshape(-1, BINS * BINS, level.channels)
            .mean(axis=1)
            for start in range(0, len(boxes), _BOXES)
        ]
        parts.append(np.concatenate(means) if means else np.zeros((0, level.channels)))
    return np.concatenate(parts, axis=1, dtype=np.float32)
