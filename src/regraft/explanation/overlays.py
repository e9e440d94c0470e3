"""Pictures for pages: thumbnails, and heat maps laid over images, as `data:` addresses."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft.data.pictures.loading import Pixels

_STRENGTH = 0.6
# Five points of viridis (van der Walt & Smith 2015), whose lightness rises, so it can be read in grey.
_VIRIDIS = np.array(
    [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], dtype=np.float32
)


def coloured(values: npt.NDArray[np.float32]) -> Pixels:
    """Viridis colours `(H, W, 3) uint8` of values `(H, W)` in [0, 1]."""
    place = np.clip(values, 0, 1) * (len(_VIRIDIS) - 1)
    low = np.minimum(place.astype(int), len(_VIRIDIS) - 2)
    share = (place - low)[..., None]
    mixed = _VIRIDIS[low] * (1 - share) + _VIRIDIS[low + 1] * share
    return np.asarray(mixed.round(), dtype=np.uint8)


def overlaid(pixels: Pixels, values: npt.NDArray[np.float32]) -> Image.Image:
    """A heat map over its image; where the map is 0, the image is dark and grey."""
    grey = pixels.mean(axis=2, keepdims=True)
    share = _STRENGTH * values[..., None]
    base = 0.55 * grey + 0.15 * pixels[..., :3] + 30
    mixed = base * (1 - share) + coloured(values) * share
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def picture(pixels: Pixels) -> Image.Image:
    """An image of `(H, W, C) uint8` pixels: grey, RGB, or the first band of other formats."""
    plain = np.ascontiguousarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
    return Image.fromarray(plain).convert("RGB")


def data_uri(image: Image.Image, *, side_px: int, quality: int = 75) -> str:
    """An image as a JPEG in a `data:` address, its longer side at most `side_px` pixels."""
    copy = image.convert("RGB")
    copy.thumbnail((side_px, side_px), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    copy.save(file, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def enlarged(image: Image.Image, side_px: int) -> Image.Image:
    """A small picture with enlarged pixels, so that browsers don't blur it."""
    factor = max(1, side_px // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
