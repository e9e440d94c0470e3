"""What is checked before anything is decoded: kind and size of the file, and the pixels that it promises."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from PIL import Image, ImageFile

from regraft.data.archives.places import find_inside
from regraft.errors import ImageError
from regraft.storage.files import key_of

_DECODERS = (
    "imagecodecs", "pi-heif", "pillow", "pydicom", "pyjpegls", "pylibjpeg", "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg", "pylibjpeg-rle", "python-gdcm", "tifffile",
)  # fmt: skip
# A progressive JPEG is decoded once for each of its scans; encoders write about ten. A scan of a
# 64-megapixel image takes about a second, so the product of scans and megapixels is limited too.
_MAX_SCANS = 100
_MAX_SCAN_MEGAPIXELS = 400
_MAX_TEXT_MEGAPIXELS = 1  # PPM written as decimal text is parsed at about a megapixel per second


@dataclass(frozen=True)
class LoadLimits:
    """Sizes that the loader accepts."""

    max_megapixels: float = 64.0
    """Images with more megapixels, according to their header, are refused before they are decoded."""
    max_file_mb: float = 128.0
    """Larger files are refused before they are read."""


def reading_conditions(limits: LoadLimits) -> str:
    """What it depends on, besides the file, whether an image can be used: a hash of limits and decoders.

    A failure under the same conditions would be repeated, so the cache remembers it; a decoder that was
    installed since, or a higher limit, may read the file.
    """
    pillows = (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS)
    return key_of([limits.max_megapixels, limits.max_file_mb, *pillows, _decoders()])[:16]


@cache
def _decoders() -> dict[str, str]:
    """The versions of the installed libraries that decode images."""
    found = {}
    for name in _DECODERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def read_file(path: str | Path, limits: LoadLimits | None = None) -> bytes:
    """The bytes of a regular file, or of a file in an archive; never waits for a FIFO, socket or device.

    Args:
        path: the file; one in an archive is named by the archive's path and its own, `photos.zip/cat/1.jpg`.
        limits: see `LoadLimits`.

    Raises:
        ImageError: the path is not a regular file, is too large, or can't be opened.
    """
    limits = limits or LoadLimits()
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        # stat first, because opening a device can have side effects; fstat again, because the path may by
        # then name another file.
        _check_regular(os.stat(path), limits)
        descriptor = os.open(path, flags)
        with open(descriptor, "rb") as file:
            _check_regular(os.fstat(descriptor), limits)
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        inside = find_inside(path)
        if inside is None:
            raise ImageError(f"can't be opened: {error.strerror}") from error
        check_size(inside.size, limits)
        return inside.read()
    except (OSError, ValueError) as error:
        raise ImageError(f"can't be opened: {getattr(error, 'strerror', None) or error}") from error


def _check_regular(status: os.stat_result, limits: LoadLimits) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("not a regular file")
    check_size(status.st_size, limits)


def check_size(size: int, limits: LoadLimits) -> None:
    """Refuse files without content, and larger ones than the limit.

    Raises:
        ImageError: says how large the file is, and the limit.
    """
    if size == 0:
        raise ImageError("empty file")
    if size > limits.max_file_mb * 1e6:
        raise ImageError(f"file of {size / 1e6:.0f} MB, above the limit of {limits.max_file_mb:g} MB")


def check_header(image: Image.Image, data: bytes, limits: LoadLimits) -> None:
    """Refuse an opened image whose header promises too much.

    Raises:
        ImageError: says what there is, and the limit.
    """
    check_megapixels(image.width, image.height, limits)
    megapixels = image.width * image.height / 1e6
    if image.format == "JPEG":
        scans = data.count(b"\xff\xda")
        if scans > _MAX_SCANS or (scans > 12 and scans * megapixels > _MAX_SCAN_MEGAPIXELS):
            raise ImageError(
                f"progressive JPEG with {scans} scans ({megapixels:.1f} megapixels); the limits are "
                f"{_MAX_SCANS} scans and {_MAX_SCAN_MEGAPIXELS} scans x megapixels"
            )
    if data[:2] in (b"P1", b"P2", b"P3") and megapixels > _MAX_TEXT_MEGAPIXELS:
        raise ImageError(
            f"PPM written as text with {megapixels:.1f} megapixels; the limit is {_MAX_TEXT_MEGAPIXELS}"
        )


def check_megapixels(width: int, height: int, limits: LoadLimits) -> None:
    """Refuse images of more pixels than the limit.

    Raises:
        ImageError: says how many there are, and the limit.
    """
    megapixels = width * height / 1e6
    if megapixels > limits.max_megapixels:
        raise ImageError(
            f"{width} x {height} pixels ({megapixels:.0f} megapixels), "
            f"above the limit of {limits.max_megapixels:g}"
        )
