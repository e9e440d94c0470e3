"""From pixels of 8 bits in any mode to RGB: strip by strip, and with a ground under transparency."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

LARGE_PIXELS = 8_000_000
_BAND_ROWS = 256
_LIGHT = 225
_MIN_DARK_SHARE = 0.05
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")


def to_rgb(image: Image.Image, reduction: int = 1) -> Image.Image:
    """RGB pixels; a large image is converted in strips, so that copies stay small."""
    ground = _ground(image)
    if image.width * image.height <= LARGE_PIXELS:
        return _compose(image, ground)
    width, height = -(-image.width // reduction), -(-image.height // reduction)
    result = Image.new("RGB", (width, height))
    step = reduction * max(1, _BAND_ROWS // reduction)
    for top in range(0, image.height, step):
        rgb = _compose(_strip(image, top, step), ground)
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


def _compose(image: Image.Image, ground: int | None) -> Image.Image:
    """RGB from any mode; transparent pixels are shown on `ground`."""
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
