"""Image files of every kind: what formats store as pixels, and how; each is decoded in another way."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from regraft.data.formats.readers import open_image, orientation_of
from regraft.data.pictures.file_kinds import reader_of
from regraft.data.pictures.loading import read_file

_SIDE = (120, 80)
_MOST = 16
_UNREAD = {"pydicom": "DICOM", "pi_heif": "HEIC"}


def made_kinds(channels: int) -> dict[str, bytes]:
    """A file of each kind by its name; always the same pixels.

    Args:
        channels: number of channels of a network; all but 1 and 3 need files of that many bands or pages.
    """
    colour = _colour(0)
    if channels in (1, 3):
        return {name: make(colour) for name, make in _KINDS.items()}
    pages = [_colour(number).convert("L") for number in range(channels)]
    wide = [_grey(page, np.uint16, 257) for page in pages]
    files = {"grey pages": _pages(pages), "grey pages of 16 bits": _pages(wide)}
    named = {"LA": 2, "RGBA": 4, "CMYK": 4}
    modes = [mode for mode, bands in named.items() if bands == channels]
    return files | {mode: _saved(_seen_through(colour).convert(mode), "TIFF") for mode in modes}


def found_kinds(images: Iterable[Path | bytes]) -> dict[str, Path | bytes]:
    """The first image of each kind, among images that the loader can read; at most sixteen kinds."""
    found: dict[str, Path | bytes] = {}
    for source in images:
        name = _kind(source if isinstance(source, bytes) else read_file(source))
        if name not in found and len(found) < _MOST:
            found[name] = source
    return found


def _kind(data: bytes) -> str:
    image, notes = open_image(data)
    if image is None:
        return _UNREAD.get(reader_of(data) or "", "TIFF with bands that Pillow does not read")
    marks = [f"{image.format} {image.mode}"]
    marks += ["transparent"] if "transparency" in image.info else []
    marks += ["turned"] if orientation_of(image, notes) != 1 else []
    return " ".join([*marks, *sorted(set(notes))])


def _colour(seed: int) -> Image.Image:
    pixels = np.random.default_rng([seed, 7]).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(_SIDE, Image.Resampling.BICUBIC)


def _seen_through(image: Image.Image) -> Image.Image:
    """The image with a transparency that grows from left to right."""
    width, height = image.size
    alpha = np.tile(np.linspace(255, 0, width).astype(np.uint8), (height, 1))
    result = image.convert("RGB")
    result.putalpha(Image.fromarray(alpha))
    return result


def _grey(image: Image.Image, kind: npt.DTypeLike, factor: float, offset: float = 0.0) -> Image.Image:
    """Grey levels as other numbers: `factor` times the level, plus `offset`."""
    levels = np.asarray(image.convert("L"), dtype=np.float64)
    return Image.fromarray((levels * factor + offset).astype(kind))


def _saved(image: Image.Image, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def _pages(pages: list[Image.Image]) -> bytes:
    return _saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])


def _turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return _saved(image, "JPEG", exif=exif)


_KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "RGB": lambda image: _saved(image, "PNG"),
    "JPEG of a camera held upright": _turned,
    "large JPEG": lambda image: _saved(image.resize((1200, 900)), "JPEG"),
    "grey": lambda image: _saved(image.convert("L"), "PNG"),
    "grey of 1 bit": lambda image: _saved(image.convert("1"), "PNG"),
    "grey of 16 bits": lambda image: _saved(_grey(image, np.uint16, 257), "PNG"),
    "grey of 32 bits": lambda image: _saved(_grey(image, np.int32, 9e4, -300), "TIFF"),
    "grey of floating point, 0 to 1": lambda image: _saved(_grey(image, np.float32, 1 / 255), "TIFF"),
    "grey of floating point": lambda image: _saved(_grey(image, np.float32, 7, -300), "TIFF"),
    "transparent grey": lambda image: _saved(_seen_through(image).convert("LA"), "PNG"),
    "transparent RGB": lambda image: _saved(_seen_through(image), "PNG"),
    "palette": lambda image: _saved(image.convert("P"), "PNG"),
    "transparent palette": lambda image: _saved(_seen_through(image).quantize(64), "PNG"),
    "CMYK": lambda image: _saved(image.convert("CMYK"), "JPEG"),
    "animation": lambda image: _saved(
        image, "GIF", save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)]
    ),
}
