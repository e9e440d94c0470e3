"""From pixels of any mode to RGB of 8 bits: the scale of grey levels, and the ground under transparency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft.errors import ImageError

LARGE_PIXELS = 8_000_000
_BAND_ROWS = 256
_LIGHT = 225
_MIN_DARK_SHARE = 0.05
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")


@dataclass(frozen=True)
class Scale:
    """How values of more than 8 bits become grey levels, and the values that the image contains."""

    black: float
    """The value that becomes 0."""
    white: float
    """The value that becomes 255."""
    lowest: float
    """Lowest value of the image; NaN and infinite values don't count."""
    highest: float
    is_own: bool = False
    """Whether `black` and `white` are the image's own extremes."""


def to_rgb(image: Image.Image, scale: Scale | None, reduction: int = 1) -> Image.Image:
    """RGB pixels; a large image is converted in strips, so that copies stay small."""
    ground = _ground(image)
    if image.width * image.height <= LARGE_PIXELS:
        return _compose(image, scale, ground)
    width, height = -(-image.width // reduction), -(-image.height // reduction)
    result = Image.new("RGB", (width, height))
    step = reduction * max(1, _BAND_ROWS // reduction)
    for top in range(0, image.height, step):
        rgb = _compose(_strip(image, top, step), scale, ground)
        result.paste(rgb.reduce(reduction) if reduction > 1 else rgb, (0, top // reduction))
    return result


def _strip(image: Image.Image, top: int, rows: int) -> Image.Image:
    return image.crop((0, top, image.width, min(top + rows, image.height)))


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    if image.width * image.height <= LARGE_PIXELS:
        yield image
        return
    for top in range(0, image.height, _BAND_ROWS):
        yield _strip(image, top, _BAND_ROWS)


def scale_of(image: Image.Image) -> Scale | None:
    """The grey scale of an image with more than 8 bits per channel; None for the others.

    16 bits are divided by 65,535. Numbers of 32 bits are divided by 65,535, by 255 if none is larger, or by 1
    if they are fractions from 0 to 1; with any others, the image's own range becomes 0 to 255.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    low, high = _finite_extrema(image)
    if image.mode.startswith("I;16"):
        return Scale(0.0, 65535.0, low, high)
    if image.mode == "F" and low >= 0 and high <= 1:
        return Scale(0.0, 1.0, low, high)
    if low >= 0 and high <= 255:
        return Scale(0.0, 255.0, low, high)
    if image.mode == "I" and low >= 0 and high <= 65535:
        return Scale(0.0, 65535.0, low, high)
    return Scale(low, high, low, high, is_own=True)


def _finite_extrema(image: Image.Image) -> tuple[float, float]:
    lows, highs = [], []
    for strip in _strips(image):
        values = np.asarray(strip)
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    if not lows:
        raise ImageError("all pixel values are NaN or infinite")
    return min(lows), max(highs)


def scaled(image: Image.Image, scale: Scale) -> npt.NDArray[np.uint8]:
    """The grey levels of an image with more than 8 bits per channel, `(H, W) uint8`."""
    with np.errstate(all="ignore"):  # values may be as large as a number can be; numpy must not warn
        values = np.asarray(image).astype(np.float32)
        values = np.nan_to_num(values, nan=scale.black, posinf=scale.white, neginf=scale.black)
        grey = (values - scale.black) * (255.0 / max(scale.white - scale.black, 1e-30))
        return np.asarray(np.clip(np.rint(grey), 0, 255), dtype=np.uint8)


def _compose(image: Image.Image, scale: Scale | None, ground: int | None) -> Image.Image:
    """RGB from any mode; transparent pixels are shown on `ground`."""
    if scale is not None:
        return Image.fromarray(scaled(image, scale)).convert("RGB")
    if ground is not None:
        coloured = _with_alpha(image)
        below = Image.new("RGBA", coloured.size, (ground, ground, ground, 255))
        return Image.alpha_composite(below, coloured).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _with_alpha(image: Image.Image) -> Image.Image:
    plain = image.convert("LA") if image.mode == "La" else image
    return plain if plain.mode == "RGBA" else plain.convert("RGBA")


def _ground(image: Image.Image) -> int | None:
    """The grey level under a picture with transparency, decided once for all its strips; else None."""
    if image.mode not in _ALPHA_MODES and "transparency" not in image.info:
        return None
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return None
    dark = visible = 0
    for strip in _strips(image):
        coloured = _with_alpha(image if strip is image else strip)
        alpha = np.asarray(coloured.getchannel("A"))
        is_dark = np.asarray(coloured.convert("L")) < _LIGHT  # of the colours, whatever their opacity
        visible += int(alpha.sum(dtype=np.int64))
        dark += int(alpha[is_dark].sum(dtype=np.int64))
    return ground_level(dark, visible)


def ground_level(dark: int, visible: int) -> int:
    """The grey level under transparency: white (255), or black (0) if the picture would vanish on white.

    The picture would vanish if less than 5 % of what is visible is darker than grey level 225. Pixels are
    weighted by their opacity, and their grey level is that of the ITU-R 601 luma, (299 R + 587 G + 114 B) /
    1000, which `convert("L")` computes. A fully transparent picture is white.

    Args:
        dark: sum of the alpha channel over the pixels darker than 225.
        visible: sum of the alpha channel over all pixels.

    >>> ground_level(dark=0, visible=255), ground_level(dark=20, visible=255), ground_level(0, 0)
    (0, 255, 255)
    """
    return 0 if dark < _MIN_DARK_SHARE * visible else 255
