"""What is inside a box, as a row of fixed width: RoIAlign (He et al. 2017, section 3) in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.projection import Projection
from regraft.records import MapLevel

Floats = npt.NDArray[Any]
BINS: Mapping[int, int] = {8: 3, 16: 2, 32: 1}
"""Number of bins along each side of a box, by the stride of the map."""
WIDTHS: Mapping[int, int] = {8: 64, 16: 96, 32: 128}
"""The most components of a map that are looked at, by its stride: the first ones."""


def region_rows(maps: Sequence[Floats], levels: Sequence[MapLevel], corners: Floats) -> Floats:
    """The maps inside each box of one picture: bins of all levels side by side, then the box's shape.

    Args:
        maps: `(height, width, K) float32` for each level.
        levels: the levels.
        corners: `(N, 4)`, boxes in pixels of the canvas.

    Returns:
        `(N, D) float32`.
    """
    parts = [
        aligned(values[..., : WIDTHS[level.stride]], corners / level.stride, BINS[level.stride])
        for values, level in zip(maps, levels, strict=True)
    ]
    return np.concatenate([*parts, _shape(corners)], axis=1, dtype=np.float32)


def row_width(projection: Projection) -> int:
    """Number of columns of a row of `region_rows`."""
    sizes = zip(projection.levels, projection.axes, strict=True)
    return 3 + sum(
        BINS[level.stride] ** 2 * min(WIDTHS[level.stride], int(axes.shape[1])) for level, axes in sizes
    )


def _shape(corners: Floats) -> Floats:
    """Logarithms of width and height, and their difference, `(N, 3)`."""
    sides = np.log(np.maximum(corners[:, 2:] - corners[:, :2], 1.0))
    return np.stack([sides[:, 0], sides[:, 1], sides[:, 0] - sides[:, 1]], axis=1)


def aligned(values: Floats, corners: Floats, bins: int) -> Floats:
    """Values of a map at the centres of the bins of each box, by bilinear interpolation.

    Args:
        values: a map `(height, width, K)`.
        corners: `(N, 4)`, boxes in cells of the map, (0, 0) being the corner of the first cell.
        bins: number of bins along each side.

    Returns:
        `(N, bins * bins * K)`, bins row by row.

    >>> ramp = np.arange(4.0)[None, :, None] * np.ones((4, 1, 1))
    >>> aligned(ramp, np.array([[1.0, 1, 3, 3]]), 2).ravel().tolist()
    [1.0, 2.0, 1.0, 2.0]
    """
    height, width, channels = values.shape
    steps = (np.arange(bins) + 0.5) / bins
    x = corners[:, :1] + (corners[:, 2:3] - corners[:, :1]) * steps - 0.5
    y = corners[:, 1:2] + (corners[:, 3:] - corners[:, 1:2]) * steps - 0.5
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    over, down = (x - left).astype(values.dtype), (y - top).astype(values.dtype)
    shape, flat = (len(corners), bins, bins), np.ascontiguousarray(values).reshape(-1, channels)

    def at(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Floats:
        place = np.broadcast_to(rows[:, :, None] * width + columns[:, None, :], shape)
        taken: Floats = flat[place]
        return taken

    across, along = over[:, None, :, None], down[:, :, None, None]
    upper = at(top, left) * (1 - across) + at(top, right) * across
    lower = at(bottom, left) * (1 - across) + at(bottom, right) * across
    result: Floats = (upper * (1 - along) + lower * along).reshape(len(corners), bins * bins * channels)
    return result
