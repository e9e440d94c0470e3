"""What a network sees of an image: the geometry of framings, from the image's pixels to the input's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from regraft.records import Framing, InputSpec

FRAMINGS: tuple[Framing, ...] = get_args(Framing)
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of an image."""


@dataclass(frozen=True)
class Frame:
    """A part of an image, and the part of a network's input that it fills; around it are borders."""

    box: Box
    """The part of the image."""
    size: tuple[int, int]
    """Width and height of the filled part of the input, in pixels."""
    place: tuple[int, int] = (0, 0)
    """Left and top of the filled part of the input."""


def frame_of(size: tuple[int, int], spec: InputSpec) -> Frame:
    """How an image of this width and height is shown to a network: the view called `centre`.

    >>> spec = InputSpec(size_px=224, crop_share=0.875)
    >>> frame_of((400, 800), spec).box
    (25.0, 225.0, 375.0, 575.0)
    >>> frame_of((400, 800), spec.model_copy(update={"framing": "pad"}))
    Frame(box=(0.0, 0.0, 400.0, 800.0), size=(112, 224), place=(56, 0))
    """
    width, height = size
    side_px = spec.size_px
    if spec.framing in ("squeeze", "pad"):
        whole = (0.0, 0.0, float(width), float(height))
        if spec.framing == "squeeze":
            return Frame(whole, (side_px, side_px))
        filled = covered(size, (side_px, side_px))
        return Frame(whole, filled, ((side_px - filled[0]) // 2, (side_px - filled[1]) // 2))
    side = min(size) * seen_share(spec)
    left, top = (width - side) / 2, (height - side) / 2
    return Frame((left, top, left + side, top + side), (side_px, side_px))


def seen_share(spec: InputSpec) -> float:
    """Side of the square that `crop` and `cover` show, as a share of the image's shorter side."""
    return spec.crop_share if spec.framing == "crop" else 1.0


def needed_side_px(spec: InputSpec) -> int:
    """The shorter side that an image must keep for `spec`: what the network sees is then not enlarged."""
    return math.ceil(spec.size_px / seen_share(spec) - 1e-6)


def covered(size: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Width and height of an image that keeps its aspect ratio and fills a canvas as far as it can.

    >>> covered((640, 480), (512, 384)), covered((1, 4000), (512, 384)), covered((400, 300), (224, 224))
    ((512, 384), (1, 384), (224, 168))
    """
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    return (
        min(canvas[0], max(1, round(size[0] * scale))),
        min(canvas[1], max(1, round(size[1] * scale))),
    )


def border_colour(spec: InputSpec) -> npt.NDArray[np.uint8]:
    """The mean colour, of which borders are, `(channels,) uint8`: to the network it is about zero."""
    colour: npt.NDArray[np.uint8] = np.round(255 * np.asarray(spec.mean)).astype(np.uint8)
    return colour


def window_sides(size: tuple[int, int], spec: InputSpec) -> tuple[int, int]:
    """Width and height of the region that `squeeze` and `pad` show as a square.

    >>> [window_sides((400, 800), InputSpec(framing=one)) for one in ("squeeze", "pad")]
    [(400, 800), (800, 800)]
    """
    return size if spec.framing == "squeeze" else (max(size), max(size))


def clipped(window: Box, size: tuple[int, int], spec: InputSpec) -> Frame:
    """How a region that may reach over the edges of an image is shown: what is outside becomes border.

    >>> clipped((-200, 0, 600, 800), (400, 800), InputSpec(size_px=224))
    Frame(box=(0.0, 0.0, 400.0, 800.0), size=(112, 224), place=(56, 0))
    """
    (left, right, width, column) = _clipped(window[0], window[2], size[0], spec.size_px)
    (top, bottom, height, row) = _clipped(window[1], window[3], size[1], spec.size_px)
    return Frame((left, top, right, bottom), (width, height), (column, row))


def _clipped(start: float, end: float, length: int, side_px: int) -> tuple[float, float, int, int]:
    """Start and end of the part that is inside; how many pixels of the input it fills, and from which on."""
    scale = side_px / (end - start)
    first, last = max(0.0, start), min(float(length), end)
    place = min(side_px - 1, round((first - start) * scale))
    return first, last, max(1, round((last - start) * scale) - place), place
