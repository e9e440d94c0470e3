"""Where covering an image makes one of its outputs smaller (Zeiler & Fergus 2014, section 4.2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import Pixels

Floats = npt.NDArray[np.float32]
_BATCH = 8


def occlusion(pixels: Pixels, output_of: Callable[[Pixels], Floats], *, grid: int = 9) -> Floats:
    """The drop of an output when a grey square covers each position, `(H, W)`; the largest drop is 1.

    Args:
        pixels: `(H, W, C) uint8`.
        output_of: returns the output `(N,)`, such as a class's probability, for a batch `(N, H, W, C) uint8`.
        grid: number of overlapping squares along each side.
    """
    side = pixels.shape[0]
    square = max(2, round(2 * side / (grid + 1)))
    starts = np.linspace(0, side - square, grid).round().astype(int)
    places = [np.s_[top : top + square, left : left + square] for top in starts for left in starts]
    grey = pixels.mean(axis=(0, 1)).round().astype(np.uint8)
    known = float(output_of(pixels[None])[0])
    heat, seen = np.zeros((side, side), np.float32), np.zeros((side, side), np.float32)
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
