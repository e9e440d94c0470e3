"""HEIC and HEIF photos of phones, by pi-heif: upright, in RGB."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image


def read_heic(data: bytes, check: Callable[[int, int], None]) -> Image.Image:
    """The photo that the file names as its first, as its own transformations turn it.

    Args:
        data: the whole file.
        check: refuses a width and height in pixels, before anything is decoded.

    Raises:
        ImageError: what `check` refuses. pi-heif raises other kinds for damaged files.
    """
    import pi_heif

    photo = pi_heif.open_heif(data, convert_hdr_to_8bit=True)
    check(*photo.size)
    image: Image.Image = photo.to_pillow()
    return image if image.mode in ("L", "LA", "RGB", "RGBA") else image.convert("RGB")
