"""Where covering an image makes one of its outputs smaller (Zeiler & Fergus 2014, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import Pixels

Floats = npt.NDArray[np.float32]
Place = tuple[slice, slice]
"""Rows and columns of an image."""
_BATCH = 8


def occlusion(pixels: Pixels, output_of: Callable[[Pixels], Floats], *, grid: int = 9) -> Floats:
    """The drop of an output when a grey square covers each position, `(H, W)`; the largest drop is 1.

    Args:
        pixels: `(H, W, C) uint8`.
        output_of: returns the output `(N,)`, such as a class's probability, for a batch `(N, H, W, C) uint8`.
        grid: number of overlapping squares along each side.
    """
    height, width = pixels.shape[:2]
    places = covering(slice(0, height), slice(0, width), grid)
    grey = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    known = float(output_of(pixels[None])[0])
    heat, seen = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for start in range(0, len(places), _BATCH):
        some = places[start : start + _BATCH]
        batch = np.repeat(pixels[None], len(some), axis=0)
        for copy, place in zip(batch, some, strict=True):
            copy[place] = grey
        falls = np.maximum(known - output_of(batch), 0)
        for fall, place in zip(falls, some, strict=True):
            heat[place] += fall
            seen[place] += 1
    heat /= seen
    top = float(heat.max())
    return heat / top if top > 1e-12 else heat


def covering(rows: slice, columns: slice, grid: int) -> list[Place]:
    """Rectangles of equal size that cover a part of an image, each overlapping its neighbours by half.

    Args:
        rows: rows of the part.
        columns: its columns.
        grid: number of rectangles along each side; there are `grid * grid`, row by row.

    >>> covering(slice(0, 8), slice(20, 24), 3)[-1]
    (slice(4, 8, None), slice(22, 24, None))
    """
    spans = [_spans(one.start, one.stop, grid) for one in (rows, columns)]
    return [(row, column) for row in spans[0] for column in spans[1]]


def _spans(low: int, high: int, grid: int) -> list[slice]:
    length = min(high - low, max(2, round(2 * (high - low) / (grid + 1))))
    starts = np.linspace(low, high - length, grid).round().astype(int)
    return [slice(int(start), int(start) + length) for start in starts]
