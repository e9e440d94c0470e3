"""Pixels of more than 8 bits: the values that a file stores, and the grey levels that they become."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft.errors import ImageError
from regraft.records import Intensity

Values = npt.NDArray[Any]
Span = tuple[float, float]
"""The values that become black and white."""
LEVELS = (255, 1023, 4095, 16383, 65535)
"""The largest values of 8, 10, 12, 14 and 16 bits."""
POINTS = (0.1, 99.9)
_STRIP_VALUES = 1 << 20
_MOST_DRAWN = 1 << 20
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


@dataclass(frozen=True)
class Samples:
    """The values of a picture as they are stored, before they become grey levels."""

    bands: tuple[Values, ...]
    """Each `(H, W)`, whole or floating-point numbers, all of one type."""
    stated: Span | None = None
    """The values of black and white that the file states."""
    is_inverted: bool = False
    """Whether the smallest value is white."""
    alpha: Values | None = None
    """Opacity `(H, W) uint8`, where the file has it."""
    alpha_mode: Literal["RGBA", "RGBa"] = "RGBA"
    """RGBa where colours were multiplied by the opacity."""


@dataclass(frozen=True)
class Extent:
    """Which values a picture of more than 8 bits holds, and which of them became black and white."""

    lowest: float
    """Lowest value; NaN and infinite values don't count."""
    highest: float
    low: float
    """The 0.1 % point, and `high` the 99.9 % point, of at most a million values drawn at equal distances."""
    high: float
    is_real: bool
    """Whether these are floating-point numbers."""
    is_inverted: bool
    stated: Span | None
    black: float
    white: float


def extent_of(samples: Samples, intensity: Intensity | None = None) -> Extent:
    """What a picture's values are, and the range in which they become grey levels.

    Args:
        samples: the picture's values.
        intensity: the range of its data set; None leaves the picture to `usual_span`.

    Raises:
        ImageError: no value is a number.

    >>> extent = extent_of(Samples((np.array([[3, 4000]], np.uint16),)))
    >>> extent.lowest, extent.highest, extent.black, extent.white
    (3.0, 4000.0, 0.0, 4095.0)
    """
    lowest, highest = _extremes(samples.bands)
    low, high = _points(samples.bands, (lowest, highest))
    is_real = samples.bands[0].dtype.kind == "f"
    if intensity is not None and intensity.is_each:
        span = (low, high) if low < high else (lowest, highest)
    else:
        common = (intensity.real if is_real else intensity.whole) if intensity else None
        span = common or usual_span(lowest, highest, is_real=is_real, stated=samples.stated)
    return Extent(lowest, highest, low, high, is_real, samples.is_inverted, samples.stated, *span)


def usual_span(lowest: float, highest: float, *, is_real: bool, stated: Span | None = None) -> Span:
    """The range of values when nothing else is known: what the file states, or what is usual.

    Whole numbers from 0 on end at the largest value of 8, 10, 12, 14 or 16 bits, whichever is the first that
    is not below the largest value; fractions at 1, and other floating-point numbers at 255. Where nothing
    fits, the values' own extremes are taken.

    >>> usual_span(7, 900, is_real=False), usual_span(0, 0.5, is_real=True), usual_span(-8, 9, is_real=False)
    ((0.0, 1023.0), (0.0, 1.0), (-8, 9))
    """
    if stated is not None and stated[0] <= lowest and highest <= stated[1]:
        return stated
    usual = (1, 255) if is_real else LEVELS
    white = next((float(level) for level in usual if highest <= level), None)
    return (lowest, highest) if lowest < 0 or white is None else (0.0, white)


def _strips(bands: Sequence[Values]) -> Iterator[Values]:
    """All finite values in strips of rows, so that copies stay small."""
    for band in bands:
        for rows in _rows(band):
            finite = rows[np.isfinite(rows)] if band.dtype.kind == "f" else rows
            if finite.size:
                yield finite


def _rows(band: Values) -> Iterator[Values]:
    step = max(1, _STRIP_VALUES // max(1, band.shape[1]))
    yield from (band[top : top + step] for top in range(0, band.shape[0], step))


def _extremes(bands: Sequence[Values]) -> Span:
    found = [(float(strip.min()), float(strip.max())) for strip in _strips(bands)]
    if not found:
        raise ImageError("all pixel values are NaN or infinite")
    return min(low for low, _ in found), max(high for _, high in found)


def _points(bands: Sequence[Values], extremes: Span) -> Span:
    step = -(-sum(band.size for band in bands) // _MOST_DRAWN)
    drawn = np.concatenate([strip.reshape(-1)[::step] for strip in _strips(bands)]).astype(np.float64)
    with np.errstate(all="ignore"):  # values may be as large as a number can be
        low, high = (float(value) for value in np.percentile(drawn, POINTS))
    return (low, high) if math.isfinite(low) and math.isfinite(high) else extremes


def grey_levels(values: Values, extent: Extent) -> npt.NDArray[np.uint8]:
    """Grey levels of values, `(H, W) uint8`: rounded, with what lies outside of the range at its ends.

    >>> ends = extent_of(Samples((np.array([[0, 4095]], np.uint16),)))
    >>> grey_levels(np.array([[0, 16, 4095, 9999]], np.uint16), ends)
    array([[  0,   1, 255, 255]], dtype=uint8)
    """
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        every = np.arange(1 << (8 * values.dtype.itemsize), dtype=np.float64)
        table = _levels(every[None], extent)[0]
        return np.asarray(table[values], dtype=np.uint8)
    result = np.empty(values.shape, dtype=np.uint8)
    top = 0
    for rows in _rows(values):
        result[top : top + len(rows)] = _levels(rows.astype(np.float64), extent)
        top += len(rows)
    return result


def _levels(values: npt.NDArray[np.float64], extent: Extent) -> npt.NDArray[np.uint8]:
    with np.errstate(all="ignore"):  # values may be as large as a number can be; numpy must not warn
        values = np.nan_to_num(values, nan=extent.black, posinf=extent.white, neginf=extent.black)
        grey = (values - extent.black) * (255.0 / max(extent.white - extent.black, 1e-30))
        levels = np.asarray(np.clip(np.rint(grey), 0, 255), dtype=np.uint8)
    return np.asarray(255 - levels, dtype=np.uint8) if extent.is_inverted else levels


def grey_bands(samples: Samples, extent: Extent | None) -> list[Image.Image]:
    """Each band with 8 bits, all in the same range; without one they have 8 bits already."""
    if extent is None:
        return [Image.fromarray(np.ascontiguousarray(band)) for band in samples.bands]
    return [Image.fromarray(grey_levels(band, extent)) for band in samples.bands]


def picture_of(samples: Samples, extent: Extent | None) -> Image.Image:
    """The bands as a picture of 8 bits: grey (one band), RGB (three) or CMYK (four), with transparency."""
    bands = grey_bands(samples, extent)
    if samples.alpha is None:
        return bands[0] if len(bands) == 1 else Image.merge(_MODES[len(bands)], bands)
    colours = bands if len(bands) == 3 else bands * 3
    return Image.merge(samples.alpha_mode, [*colours, Image.fromarray(samples.alpha)])
