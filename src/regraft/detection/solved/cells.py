"""The cells of a grid over the canvas: what each of them sees, and what it should say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.records import MapLevel

Floats = npt.NDArray[Any]
BACKGROUND_WEIGHT = 0.1
_LEAST_SIDE = 1 / 8  # of a cell: distances below are counted as this much


def base_level(levels: Sequence[MapLevel]) -> MapLevel:
    """The level whose cells make the grid: the one of stride 16, or the nearest to it."""
    return min(levels, key=lambda level: (abs(np.log2(level.stride / 16)), level.stride))


def cell_rows(maps: Sequence[Floats], levels: Sequence[MapLevel]) -> Floats:
    """What every cell sees: the components of all maps at its place, side by side.

    Finer maps are averaged over the cell, coarser ones give the cell the value that covers it.

    Args:
        maps: `(N, height, width, K)` for each level.
        levels: the levels.

    Returns:
        `(N, H, W, D) float32`, H and W those of the base level.
    """
    base = base_level(levels)
    parts = []
    for values, level in zip(maps, levels, strict=True):
        if level.stride < base.stride:
            times = base.stride // level.stride
            shape = (len(values), base.height, times, base.width, times, values.shape[3])
            values = values.reshape(shape).mean(axis=(2, 4))
        elif level.stride > base.stride:
            times = level.stride // base.stride
            values = values.repeat(times, axis=1).repeat(times, axis=2)
        parts.append(values)
    return np.concatenate(parts, axis=3)


@dataclass(frozen=True)
class CellTargets:
    """What the M cells of one picture should say, row by row."""

    classes: Floats
    """`(M, K) float32`: 1 for the class of the object in whose middle the cell lies."""
    weights: Floats
    """`(M,) float32`: 1 in the middle of an object, 0.1 on the background, 0 where it is neither."""
    sides: Floats
    """`(M, 4) float32`: logarithms of the distances to the left, top, right and bottom edge, in cells."""
    is_middle: npt.NDArray[np.bool_]
    """`(M,)`, whether the cell lies in the middle of an object."""


def cell_centres(level: MapLevel) -> Floats:
    """Centres of the cells in pixels of the canvas, `(M, 2)`: x and y, row by row."""
    x = (np.arange(level.width) + 0.5) * level.stride
    y = (np.arange(level.height) + 0.5) * level.stride
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def cell_targets(
    corners: Floats,
    classes: npt.NDArray[np.int64],
    is_ignored: npt.NDArray[np.bool_],
    count: int,
    level: MapLevel,
) -> CellTargets:
    """What the cells of one picture should say.

    A cell belongs to the smallest object in whose middle half its centre lies; an object without such a cell
    gets the nearest one. Cells elsewhere in an object, and in ignored boxes, have no weight.

    Args:
        corners: `(N, 4)`, true boxes in pixels of the canvas.
        classes: `(N,)`.
        is_ignored: `(N,)`.
        count: number of classes K.
        level: the base level.
    """
    centres = cell_centres(level)
    target = np.zeros((len(centres), count), dtype=np.float32)
    weights = np.full(len(centres), BACKGROUND_WEIGHT, dtype=np.float32)
    sides = np.zeros((len(centres), 4), dtype=np.float32)
    is_middle = np.zeros(len(centres), dtype=bool)
    for corner in corners:
        inside = ((centres >= corner[:2]) & (centres <= corner[2:])).all(axis=1)
        weights[inside] = 0.0
    order = np.argsort(-((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])), kind="stable")
    for number in order:
        if is_ignored[number]:
            continue
        corner = corners[number]
        middle, half = (corner[:2] + corner[2:]) / 2, (corner[2:] - corner[:2]) / 4
        own = (np.abs(centres - middle) <= half).all(axis=1)
        if not own.any():
            own[np.abs(centres - middle).max(axis=1).argmin()] = True
        target[own] = 0.0
        target[own, classes[number]] = 1.0
        weights[own] = 1.0
        is_middle[own] = True
        distances = np.concatenate([centres[own] - corner[:2], corner[2:] - centres[own]], axis=1)
        sides[own] = np.log(np.maximum(distances / level.stride, _LEAST_SIDE))
    return CellTargets(target, weights, sides, is_middle)


def boxes_from(sides: Floats, level: MapLevel) -> Floats:
    """The boxes that cells mean, `(M, 4)` in pixels of the canvas; sides `(M, 4)` as in `CellTargets`."""
    centres = cell_centres(level)
    distances = np.exp(np.clip(sides, -4.0, 5.0)) * level.stride
    boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
    most = [level.width * level.stride, level.height * level.stride] * 2
    inside: Floats = np.clip(boxes, 0, most)
    return inside
