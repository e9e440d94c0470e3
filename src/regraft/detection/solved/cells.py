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
_MIDDLE = 0.15
NEIGHBOUR_WIDTH = 48
_LEAST_SIDE = 1 / 8  # of a cell: distances below are counted as this much
_ROWS_A_COLUMN, _MOST_STEP = 64, 4


def base_level(levels: Sequence[MapLevel]) -> MapLevel:
    """The level whose cells make the grid: the one of stride 16, or the nearest to it."""
    return min(levels, key=lambda level: (abs(np.log2(level.stride / 16)), level.stride))


def cell_rows(maps: Sequence[Floats], levels: Sequence[MapLevel]) -> Floats:
    """What every cell sees: the components of all maps at its place and next to it, in a row.

    Finer maps are averaged over the cell, coarser ones are interpolated. The first components of its four
    neighbours show where an object ends.

    Args:
        maps: `(N, height, width, K)` for each level.
        levels: the levels.

    Returns:
        `(N, H, W, D) float32`, H and W those of the base level, D from `cell_width`.
    """
    base = base_level(levels)
    parts = []
    for values, level in zip(maps, levels, strict=True):
        if level.stride < base.stride:
            times = base.stride // level.stride
            shape = (len(values), base.height, times, base.width, times, values.shape[3])
            values = values.reshape(shape).mean(axis=(2, 4))
        elif level.stride > base.stride:
            values = _interpolated(values, level.stride // base.stride)
        parts.append(values)
    own = maps[levels.index(base)][..., :NEIGHBOUR_WIDTH]
    framed = np.pad(own, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    beside = [framed[:, 1:-1, :-2], framed[:, 1:-1, 2:], framed[:, :-2, 1:-1], framed[:, 2:, 1:-1]]
    return np.concatenate([*parts, *beside], axis=3)


def cell_width(widths: Sequence[int], levels: Sequence[MapLevel]) -> int:
    """The number of columns of a cell, from the number of components of each level."""
    return sum(widths) + 4 * min(NEIGHBOUR_WIDTH, widths[levels.index(base_level(levels))])


def _interpolated(values: Floats, times: int) -> Floats:
    """A map with `times` as many cells along each side, between which its values change evenly."""
    for _ in range(int(np.log2(times))):
        framed = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        rows = _between(framed, 1)
        values = _between(rows, 2)
    return values


def _between(framed: Floats, axis: int) -> Floats:
    """Twice as many values along an axis, at a quarter and three quarters of each cell, without the frame."""
    inside = [slice(None)] * 4
    before, own, after = list(inside), list(inside), list(inside)
    before[axis], own[axis], after[axis] = slice(None, -2), slice(1, -1), slice(2, None)
    here = 0.75 * framed[tuple(own)]
    low, high = here + 0.25 * framed[tuple(before)], here + 0.25 * framed[tuple(after)]
    shape = list(low.shape)
    shape[axis] *= 2
    return np.stack([low, high], axis=axis + 1).reshape(shape)


@dataclass(frozen=True)
class CellTargets:
    """What the M cells of one picture should say, row by row."""

    classes: Floats
    """`(M, K) float32`: how central the cell is in the object in whose middle it lies, for its class."""
    weights: Floats
    """`(M,) float32`: 1 in the middle of an object, 0.1 elsewhere, 0 in ignored boxes."""
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

    A cell belongs to the smallest object in whose middle its centre lies: within 15 % of the sides around the
    centre. An object without such a cell gets the nearest one. How central a cell is, is FCOS's centre-ness:
    `sqrt(min(l, r) / max(l, r) * min(t, b) / max(t, b))`.

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
    for corner in corners[is_ignored]:
        weights[((centres >= corner[:2]) & (centres <= corner[2:])).all(axis=1)] = 0.0
    order = np.argsort(-((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])), kind="stable")
    for number in order:
        if is_ignored[number]:
            continue
        corner = corners[number]
        middle, reach = (corner[:2] + corner[2:]) / 2, _MIDDLE * (corner[2:] - corner[:2])
        own = (np.abs(centres - middle) <= reach).all(axis=1)
        if not own.any():
            own[np.abs(centres - middle).max(axis=1).argmin()] = True
        distances = np.concatenate([centres[own] - corner[:2], corner[2:] - centres[own]], axis=1)
        distances = np.maximum(distances, _LEAST_SIDE * level.stride)
        target[own] = 0.0
        target[own, classes[number]] = _centrality(distances)
        weights[own] = 1.0
        is_middle[own] = True
        sides[own] = np.log(distances / level.stride)
    return CellTargets(target, weights, sides, is_middle)


def sampling_step(cells: int, width: int) -> int:
    """How many background cells share one that is used: they say the same, and rows cost time.

    >>> sampling_step(10_000, 700), sampling_step(157_000, 700), sampling_step(10_000_000, 700)
    (1, 3, 4)
    """
    return min(_MOST_STEP, max(1, cells // (_ROWS_A_COLUMN * width)))


def sampled(target: CellTargets, level: MapLevel, step: int) -> Floats:
    """The weights of a picture's cells if only one background cell of `step` is used, for all of them.

    Those that are used lie on diagonals; together they weigh as much as all background cells.

    Args:
        target: what the cells should say, and their weights.
        level: the base level.
        step: 1 uses all.

    Returns:
        `(M,) float32`.
    """
    rows, columns = np.divmod(np.arange(len(target.weights)), level.width)
    is_used = target.is_middle | ((rows + columns) % step == 0)
    weights = np.where(is_used, target.weights, 0).astype(np.float32)
    background = ~target.is_middle
    whole, part = float(target.weights[background].sum()), float(weights[background].sum())
    if part > 0:
        weights[background] *= whole / part
    return weights


def _centrality(distances: Floats) -> Floats:
    near, far = np.minimum(distances[:, :2], distances[:, 2:]), np.maximum(distances[:, :2], distances[:, 2:])
    central: Floats = np.sqrt((near / far).prod(axis=1))
    return central


def boxes_from(sides: Floats, level: MapLevel) -> Floats:
    """The boxes that cells mean, `(M, 4)` in pixels of the canvas; sides `(M, 4)` as in `CellTargets`."""
    centres = cell_centres(level)
    distances = np.exp(np.clip(sides, -4.0, 5.0)) * level.stride
    boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
    most = [level.width * level.stride, level.height * level.stride] * 2
    inside: Floats = np.clip(boxes, 0, most)
    return inside
