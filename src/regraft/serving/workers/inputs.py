"""What graphs take, made of the bytes of a file: the functions that the decoding processes call.

The processes import this file and what it imports, so it stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import LoadLimits, load_input
from regraft.detection.maps.canvas import on_canvas
from regraft.records import InputSpec

Inputs = Mapping[str, npt.NDArray[Any]]
"""What a graph takes, by the names of its inputs."""
Load = Callable[[bytes, InputSpec, LoadLimits], Inputs]
"""From a file's bytes to what a graph takes; a function of a module, whose name is sent to the processes."""


def framed(data: bytes, spec: InputSpec, limits: LoadLimits) -> Inputs:
    """What a classifier's graph takes: `pixels`, `(size_px, size_px, channels) uint8`.

    Raises:
        ImageError: the file can't be used.
    """
    return {"pixels": load_input(data, spec, limits)}


def letterboxed(data: bytes, spec: InputSpec, limits: LoadLimits) -> Inputs:
    """What a detector's graph takes.

    Returns:
        `canvas`, the picture on the canvas, `(1, height, width, channels) uint8`, and `picture`, the width
        and height of the upright picture, `(2,) float32`.

    Raises:
        ImageError: the file can't be used.
    """
    canvas, placement = on_canvas(data, spec, limits=limits)
    return {
        "canvas": canvas[None],
        "picture": np.array([placement.width, placement.height], dtype=np.float32),
    }
