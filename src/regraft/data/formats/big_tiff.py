"""TIFF files that Pillow can't read, by tifffile: BigTIFF, and numbers of 64 bits, half precision and others.

tifffile trusts what a file says about its size. So the caller compares the promised pixels with its limit
first, and here strips are measured before they are decoded: a few deflated kilobytes can hold gigabytes.
"""

from __future__ import annotations

import io
import logging
import math
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.errors import ImageError

_NONE, _DEFLATE = (0, 1), (8, 32946)
_STEP_BYTES = 1 << 20
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # damage is reported by our own messages


def bands_by_tifffile(
    data: bytes, shape: tuple[int, int, int], compression: int
) -> list[npt.NDArray[Any]] | None:
    """The bands of the first page, each `(height, width)`; None if tifffile alone can't read them.

    Args:
        data: the whole file, whose promised pixels are within the limits.
        shape: height, width and number of bands, as the file's tags say.
        compression: TIFF's number of the compression.

    Raises:
        ImageError: the file holds more than its tags promise.
    """
    if compression not in (*_NONE, *_DEFLATE):
        return None
    import tifffile

    height, width, bands = shape

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        promised = (page.imagelength, page.imagewidth, page.samplesperpixel, page.imagedepth)
        is_known = page.bitspersample in (8, 16, 32, 64) and promised == (height, width, bands, 1)
        if not is_known or page.dtype is None or page.dtype.kind not in "iuf":
            return None
        if page.nbytes != height * width * bands * page.dtype.itemsize:
            return None
        _check_segments(data, page, is_deflated=compression in _DEFLATE)
        values = np.asarray(page.asarray(maxworkers=1)).reshape(page.shape)
    if bands == 1:
        return [values.reshape(height, width)]
    axis = page.axes.index("S")
    return [values.take(number, axis).reshape(height, width) for number in range(bands)]


def _check_segments(data: bytes, page: Any, *, is_deflated: bool) -> None:
    """Refuse strips and tiles that are longer than the pixels that they are for.

    Raises:
        ImageError: says how much there is.
    """
    too_much = ImageError(f"a TIFF whose strips hold more than the {page.nbytes:,} bytes of its pixels")
    most = 2 * page.nbytes + math.prod(page.chunks) * page.dtype.itemsize * math.prod(page.chunked)
    if len(page.dataoffsets) > math.prod(page.chunked) or sum(page.databytecounts) > most:
        raise too_much
    total = 0
    for place, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        engine, rest = zlib.decompressobj(), data[place : place + length]
        while is_deflated and rest:
            total += len(engine.decompress(rest, _STEP_BYTES))
            rest = engine.unconsumed_tail
            if total > most:
                raise too_much


def colours_as_tiff(pixels: npt.NDArray[np.uint16]) -> bytes:
    """A TIFF file of colours `(H, W, 3 or 4)` of 16 bits, which Pillow can't write; the fourth is opacity."""
    import tifffile

    file = io.BytesIO()
    extra = ["unassalpha"] if pixels.shape[2] == 4 else None
    tifffile.imwrite(file, np.ascontiguousarray(pixels), photometric="rgb", extrasamples=extra)
    return file.getvalue()
