"""Image descriptors from before deep networks, as a `Runtime`: baselines that a network should beat.

`pixels` is the image at 32 x 32; `colour` is a joint histogram (Swain & Ballard 1991); `hog` is a
histogram of oriented gradients (Dalal & Triggs 2005); `sift` are local descriptors at key points (Lowe
2004), from which a bag of visual words is made (Csurka et al. 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.pictures.loading import Pixels
from regraft.features.runtimes import Key, Row, RuntimeSource
from regraft.machine.processor import count_cores
from regraft.records import Column, InputSpec, MapLevel, Precision

SIZE_PX = 128
SPEC = InputSpec(size_px=SIZE_PX, crop_share=1.0)
SIFT_POINTS = 48
SIFT_WIDTH = 128
_PIXELS_SIDE = 32
_COLOUR_BINS = 8
_CELL_PX = 16

Values = npt.NDArray[np.float32]


class DescriptorRuntime:
    """A `Runtime` that computes descriptors of `(128, 128, 3) uint8` pixels, in parallel threads.

    Args:
        names: the descriptors to compute: any of `pixels`, `colour`, `hog` and `sift`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        columns: list[Column] = []
        start = 0
        for name in names:
            stop = start + _WIDTHS[name]
            columns.append(Column(stage=name, statistic="map", start=start, stop=stop))
            start = stop
        self.layout, self.width = tuple(columns), start
        self.maps: tuple[MapLevel, ...] = ()
        self.precision: Precision = "fp32"
        self.source: RuntimeSource | None = None
        self.facts: Mapping[str, Any] = {
            "what": "descriptors",
            "version": 1,
            "names": list(names),
            "scikit-image": metadata.version("scikit-image"),
        }

    def run(self, images: Iterable[tuple[Key, Pixels]]) -> Iterator[tuple[Key, Row]]:
        workers, iterator = count_cores(), iter(images)
        with ThreadPoolExecutor(workers) as pool:
            while several := list(islice(iterator, 8 * workers)):
                yield from pool.map(lambda pair: (pair[0], self.describe(pair[1])), several)

    def describe(self, pixels: Pixels) -> Row:
        """The descriptors of one image, side by side."""
        return np.concatenate([_METHODS[column.stage](pixels) for column in self.layout])


def grey(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Grey levels (luma) of RGB pixels, `(H, W) uint8` (ITU-R BT.601)."""
    weighted = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.clip(np.rint(weighted), 0, 255).astype(np.uint8)


def small_pixels(pixels: Pixels) -> Values:
    """The image at 32 x 32 pixels; each value is the mean of a square, in [0, 1]."""
    side = SIZE_PX // _PIXELS_SIDE
    squares = pixels.astype(np.float32).reshape(_PIXELS_SIDE, side, _PIXELS_SIDE, side, 3)
    values: Values = squares.mean(axis=(1, 3)).reshape(-1) / 255
    return values


def colour_histogram(pixels: Pixels) -> Values:
    """Shares of 8 x 8 x 8 colours, square roots taken (Hellinger), `(512,)`."""
    binned = (pixels // (256 // _COLOUR_BINS)).astype(np.int64)
    codes = (binned[..., 0] * _COLOUR_BINS + binned[..., 1]) * _COLOUR_BINS + binned[..., 2]
    counts = np.bincount(codes.reshape(-1), minlength=_COLOUR_BINS**3)
    return np.sqrt(counts / codes.size).astype(np.float32)


def oriented_gradients(pixels: Pixels) -> Values:
    """Histograms of nine gradient orientations in cells of 16 px and blocks of 2 x 2 cells, `(1764,)`."""
    from skimage.feature import hog

    values: Values = hog(
        grey(pixels), orientations=9, pixels_per_cell=(_CELL_PX, _CELL_PX), cells_per_block=(2, 2)
    ).astype(np.float32)
    return values


def local_descriptors(pixels: Pixels) -> Values:
    """Up to 48 SIFT descriptors of 128 values in 0..255, spread over those found; missing ones are zero."""
    from skimage.feature import SIFT

    values = np.zeros((SIFT_POINTS, SIFT_WIDTH), dtype=np.float32)
    finder = SIFT(n_octaves=4)
    try:
        finder.detect_and_extract(grey(pixels))
    except RuntimeError:  # a plain image has no key points
        return values.reshape(-1)
    found = np.asarray(finder.descriptors, dtype=np.float32)
    chosen = np.unique(np.linspace(0, len(found) - 1, SIFT_POINTS).round().astype(np.int64))
    values[: len(chosen)] = found[chosen]
    return values.reshape(-1)


_METHODS: dict[str, Callable[[Pixels], Values]] = {
    "pixels": small_pixels,
    "colour": colour_histogram,
    "hog": oriented_gradients,
    "sift": local_descriptors,
}
_BLOCKS = SIZE_PX // _CELL_PX - 1
_WIDTHS = {
    "pixels": _PIXELS_SIDE**2 * 3,
    "colour": _COLOUR_BINS**3,
    "hog": _BLOCKS**2 * 4 * 9,
    "sift": SIFT_POINTS * SIFT_WIDTH,
}
