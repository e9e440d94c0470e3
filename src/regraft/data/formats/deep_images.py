"""The values of more than 8 bits in pictures that Pillow has opened: PNG, PPM, grey pages of a TIFF file."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFile

from regraft.data.formats.readers import open_image
from regraft.data.formats.samples import Samples, Values
from regraft.data.formats.statements import span_in_png

_COLOURS = ("RGB;16B", "RGBA;16B", "LA;16B")
"""How Pillow calls the bytes of a PNG file of 16 bits, of which it keeps the upper 8."""
_PPM_WHITE = 65535.0  # Pillow rescales PPM files from the largest value that they state


def is_deep(image: Image.Image) -> bool:
    """Whether Pillow keeps more than 8 bits of an image."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def samples_in(image: ImageFile.ImageFile, data: bytes) -> Samples | None:
    """The values of an opened image, if a file has more than 8 bits; None for the others.

    Args:
        image: the opened image, not decoded yet.
        data: the whole file.
    """
    form = _raw_mode(image) if image.format == "PNG" else ""
    if form in _COLOURS:
        return _colours_of_png(data, form)
    if not is_deep(image):
        return None
    image.load()
    if image.format == "PNG":
        return Samples((values_of(image),), span_in_png(data))
    is_rescaled = image.format == "PPM" and image.mode == "I"
    return Samples((values_of(image),), (0.0, _PPM_WHITE) if is_rescaled else None)


def values_of(image: Image.Image) -> Values:
    """A grey image's values, `(H, W)` of uint8, uint16, int32 or float32."""
    values = np.asarray(image)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _raw_mode(image: ImageFile.ImageFile) -> str:
    how = image.tile[0].args if image.tile else ""
    return how if isinstance(how, str) else ""


def _colours_of_png(data: bytes, form: str) -> Samples:
    """Colours of 16 bits, which Pillow decodes twice: for the upper bytes and for the lower ones."""
    if form == "LA;16B":  # four bytes a pixel: the upper and lower byte of grey, then of opacity
        four = np.asarray(_decoded_as(data, "RGBA"))
        grey, alpha = four[..., 0].astype(np.uint16) << 8 | four[..., 1], four[..., 2]
        return Samples((grey,), span_in_png(data), alpha=np.ascontiguousarray(alpha))
    upper = np.asarray(_decoded_as(data, form))
    lower = np.asarray(_decoded_as(data, form.replace("16B", "16L")))
    bands = tuple(upper[..., n].astype(np.uint16) << 8 | lower[..., n] for n in range(3))
    opacity = np.ascontiguousarray(upper[..., 3]) if form == "RGBA;16B" else None
    return Samples(bands, span_in_png(data), alpha=opacity)


def _decoded_as(data: bytes, form: str) -> Image.Image:
    image, _ = open_image(data)
    assert image is not None
    image.tile = [tile._replace(args=form) for tile in image.tile]
    image.load()
    return image
