"""The canvas: pictures of any shape brought to one size, and their boxes with them.

A picture keeps its aspect ratio. It lies in the top left corner of the canvas, and what it does not cover is
grey. Canvas coordinates are pixels of the canvas; (0, 0) is its top left corner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft.data.pictures.framing import border_colour, covered
from regraft.data.pictures.loading import RESAMPLING, LoadLimits, Picture, Pixels, decode_for
from regraft.records import InputSpec

STEP_PX = 32
"""Sides of a canvas are multiples of this, so that maps of stride 32 divide it."""
_USUAL_PIXELS = 512 * 384
Floats = npt.NDArray[Any]
Window = tuple[int, int, int, int]
"""Left, top, right and bottom edge of a part of a picture, in its pixels; it may reach beyond the picture."""


@dataclass(frozen=True)
class Placement:
    """Where a picture lies on a canvas."""

    width: int
    """Width of the upright picture in pixels."""
    height: int
    canvas_width: int
    canvas_height: int
    is_mirrored: bool = False
    """Whether left and right of the picture are exchanged; it stays in the top left corner."""
    window: Window | None = None
    """What lies on the canvas instead of the picture: a part of it, or more; None means the picture."""

    @property
    def covered(self) -> tuple[int, int]:
        """Width and height of the part of the canvas that the picture or the window covers, in pixels.

        >>> Placement(640, 480, 512, 384).covered, Placement(1, 4000, 512, 384).covered
        ((512, 384), (1, 384))
        """
        return covered(self._size, (self.canvas_width, self.canvas_height))

    @property
    def shown(self) -> Window:
        """The part of the picture that is seen."""
        left, top, right, bottom = self.window or (0, 0, self.width, self.height)
        return max(left, 0), max(top, 0), min(right, self.width), min(bottom, self.height)

    @property
    def painted(self) -> Window:
        """Where it is seen on the canvas, before left and right are exchanged."""
        shown = np.array([self.shown], dtype=np.float64)
        left, top, right, bottom = (round(edge) for edge in replace(self, is_mirrored=False).onto(shown)[0])
        wide, high = self.covered
        left, top = min(left, wide - 1), min(top, high - 1)
        return left, top, max(right, left + 1), max(bottom, top + 1)

    @property
    def _size(self) -> tuple[int, int]:
        """Width and height of what covers a part of the canvas, in pixels of the picture."""
        if self.window is None:
            return self.width, self.height
        left, top, right, bottom = self.window
        return right - left, bottom - top

    @property
    def _start(self) -> npt.NDArray[np.float64]:
        return np.array([0, 0, 0, 0] if self.window is None else self.window[:2] * 2, dtype=np.float64)

    @property
    def _scales(self) -> npt.NDArray[np.float64]:
        (width, height), covered = self._size, self.covered
        return np.array([covered[0] / width, covered[1] / height] * 2)

    def onto(self, corners: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Boxes of the picture on the canvas, `(N, 4)` in and out: left, top, right, bottom.

        >>> Placement(640, 480, 512, 384, is_mirrored=True).onto([[0, 0, 160, 120]]).tolist()
        [[384.0, 0.0, 512.0, 96.0]]
        """
        boxes = (np.asarray(corners, dtype=np.float64).reshape(-1, 4) - self._start) * self._scales
        return _mirrored(boxes, self.covered[0]) if self.is_mirrored else boxes

    def back(self, corners: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Boxes of the canvas in the picture, clipped to it, `(N, 4)` in and out."""
        boxes = np.asarray(corners, dtype=np.float64).reshape(-1, 4)
        boxes = _mirrored(boxes, self.covered[0]) if self.is_mirrored else boxes
        most = np.array([self.width, self.height] * 2, dtype=np.float64)
        return np.clip(boxes / self._scales + self._start, 0, most)


def _mirrored(boxes: npt.NDArray[np.float64], width: float) -> npt.NDArray[np.float64]:
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


def canvas_for(sizes: Sequence[tuple[int, int]], *, longer_px: int | None = None) -> tuple[int, int]:
    """Width and height of the canvas for pictures of these sizes: the usual shape, in steps of 32 pixels.

    Args:
        sizes: width and height of every picture.
        longer_px: the longer side of the canvas; None means an area of about 512 x 384 pixels.

    >>> canvas_for([(640, 480)]), canvas_for([(1000, 1000)]), canvas_for([(640, 480)], longer_px=640)
    ((512, 384), (448, 448), (640, 480))
    """
    ratio = float(np.exp(np.median([np.log(width / height) for width, height in sizes])))
    ratio = min(max(ratio, 1 / 3), 3.0)
    if longer_px is None:
        width, height = (_USUAL_PIXELS * ratio) ** 0.5, (_USUAL_PIXELS / ratio) ** 0.5
    else:
        width, height = min(longer_px, longer_px * ratio), min(longer_px, longer_px / ratio)
    return _in_steps(width), _in_steps(height)


def _in_steps(side: float) -> int:
    return max(2 * STEP_PX, round(side / STEP_PX) * STEP_PX)


def on_canvas(
    data: bytes,
    spec: InputSpec,
    *,
    is_mirrored: bool = False,
    window: Callable[[int, int], Window] | None = None,
    times: float = 1.0,
    limits: LoadLimits | None = None,
) -> tuple[Pixels, Placement]:
    """A picture on the canvas of a network's input.

    Args:
        data: the bytes of the picture's file.
        spec: the network's input, whose height and width are those of the canvas.
        is_mirrored: whether left and right are exchanged.
        window: what lies on the canvas, for a picture's width and height; None means the picture.
        times: how much larger than the whole picture the window may be seen at most.
        limits: limits of the loader.

    Returns:
        Pixels `(height, width, channels) uint8`, and where the picture lies on them.

    Raises:
        ImageError: the picture can't be used; the message is the reason.
    """
    height, width, channels = spec.shape
    picture = decode_for(data, spec, math.ceil(times * min(height, width)), limits)
    size = upright_size(picture)
    seen = None if window is None else window(*size)
    return placed(bands_of(picture, channels), size, spec, is_mirrored=is_mirrored, window=seen)


def upright_size(picture: Picture) -> tuple[int, int]:
    """Width and height of the picture in its file, upright: it may have been decoded at a smaller size."""
    size = (picture.width, picture.height)
    return size[::-1] if picture.orientation >= 5 else size  # stored lying on its side


def bands_of(picture: Picture, channels: int) -> list[Image.Image]:
    """What a picture is resampled from: its colours as one image, one grey image, or its bands."""
    return list(picture.bands) or [picture.image.convert("L") if channels == 1 else picture.image]


def placed(
    bands: Sequence[Image.Image],
    size: tuple[int, int],
    spec: InputSpec,
    *,
    is_mirrored: bool = False,
    window: Window | None = None,
) -> tuple[Pixels, Placement]:
    """A picture, or a part of one, on the canvas of a network's input.

    Args:
        bands: its colours as one image, or its bands.
        size: width and height that boxes refer to, if it was decoded at a smaller size.
        spec: the network's input.
        is_mirrored: whether left and right are exchanged.
        window: what lies on the canvas; None means the picture.

    Returns:
        Pixels `(height, width, channels) uint8`, and where the picture lies on them.
    """
    height, width, channels = spec.shape
    placement = Placement(*size, width, height, is_mirrored, window)
    canvas = np.empty((height, width, channels), dtype=np.uint8)
    canvas[:] = border_colour(spec)
    rule, (left, top, right, bottom) = RESAMPLING[spec.interpolation], placement.painted
    parts = [
        np.asarray(
            _turned(band.resize((right - left, bottom - top), rule, box=_box(placement, band)), is_mirrored)
        )
        for band in bands
    ]
    pixels = np.stack(parts, axis=-1) if len(parts) > 1 else parts[0]
    if is_mirrored:
        left, right = placement.covered[0] - right, placement.covered[0] - left
    canvas[top:bottom, left:right] = pixels.reshape(bottom - top, right - left, channels)
    return canvas, placement


def _box(placement: Placement, band: Image.Image) -> tuple[float, float, float, float] | None:
    """The part that is seen in a band that may have been decoded at a smaller size; None means all of it."""
    if placement.window is None:
        return None
    left, top, right, bottom = placement.shown
    across, down = band.width / placement.width, band.height / placement.height
    return (
        left * across,
        top * down,
        min(right * across, float(band.width)),
        min(bottom * down, float(band.height)),
    )


def _turned(image: Image.Image, is_mirrored: bool) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if is_mirrored else image
