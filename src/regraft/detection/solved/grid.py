"""The solved grid: each cell says what object it is in the middle of, and how far the object's edges are.

No step is taken along a gradient: two least-squares problems in closed form, one for the classes and one for
the distances to the four edges (as in FCOS, Tian et al. 2019, but linear in a cell of frozen maps).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.found import Found
from regraft.detection.maps.judging import map50, matched
from regraft.detection.maps.projected import ProjectedMaps
from regraft.detection.maps.scenes import Scene
from regraft.detection.maps.suppression import kept
from regraft.detection.solved.cells import (
    base_level,
    boxes_from,
    cell_rows,
    cell_targets,
    cell_width,
    sampled,
    sampling_step,
)
from regraft.detection.solved.sums import FoldSums
from regraft.progress import Meter, Reporter, Silent
from regraft.records import MapLevel

Floats = npt.NDArray[Any]
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""The ridge penalties that cross-validation chooses from."""
SUPPRESSION_IOU = 0.5
CLASS_SCALE = 3.0
"""The value of the column that says of a cell which class it is of; a large one is penalised little."""
LEAST_SCORE = 0.02
MOST_CANDIDATES = 400
MOST_FOUND = 100
PROPOSALS, PROPOSAL_IOU = 60, 0.7
_JUDGED = 40  # pictures on which strengths are compared


@dataclass(frozen=True)
class Grid:
    """A solved grid."""

    levels: tuple[MapLevel, ...]
    classes: Floats
    """Coefficients of the classes' scores, `(D + 1, K)`."""
    sides: Floats
    """Coefficients of the logarithms of the four distances, `(D + K + 1, 4)`: of a cell, then of the
    classes, since objects of one class have similar sizes."""

    def cells(self, maps: Sequence[Floats]) -> tuple[Floats, Floats]:
        """What the cells of each picture say.

        Args:
            maps: components of maps, `(N, height, width, K)` for each level.

        Returns:
            Boxes `(N, M, 4)` in pixels of the canvas, and scores `(N, M, K)`, about 0 on the background and
            about 1 in the middle of an object. The box of a cell is one of the class with the largest score.
        """
        rows = cell_rows(maps, self.levels)
        return self.said(rows.reshape(len(rows), -1, rows.shape[-1]))

    def said(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same from what the cells see, `(N, M, D)`: the rows of `cell_rows`."""
        width = rows.shape[-1]
        scores = rows @ self.classes[:-1].astype(np.float32) + self.classes[-1].astype(np.float32)
        sides = rows @ self.sides[:width].astype(np.float32) + self.sides[-1].astype(np.float32)
        sides += CLASS_SCALE * self.sides[width:-1].astype(np.float32)[scores.argmax(axis=-1)]
        level = base_level(self.levels)
        return np.stack([boxes_from(one, level) for one in sides]), scores


def proposals(boxes: Floats, scores: Floats) -> Floats:
    """The boxes of one picture that may hold an object of any class, `(N, 4)`, at most 60.

    Args:
        boxes: `(M, 4)`, one for each cell.
        scores: `(M, K)`.
    """
    best = scores.max(axis=1)
    order = np.argsort(-best, kind="stable")[:MOST_CANDIDATES]
    order = order[(boxes[order, 2:] - boxes[order, :2] >= 1).all(axis=1)]
    chosen = kept(boxes[order], np.zeros(len(order), np.int64), best[order], iou=PROPOSAL_IOU, most=PROPOSALS)
    found: Floats = boxes[order[chosen]]
    return found


def suppressed(boxes: Floats, scores: Floats, placement: Placement) -> Found:
    """The boxes of one picture that are found, in pixels of the picture.

    Args:
        boxes: `(M, 4)` in pixels of the canvas.
        scores: `(M, K)`, the score of each class for each box.
        placement: where the picture lies on the canvas.
    """
    place, number = np.nonzero(scores > LEAST_SCORE)
    values = scores[place, number]
    order = np.argsort(-values, kind="stable")[:MOST_CANDIDATES]
    corners = placement.back(boxes[place[order]])
    classes, values = number[order], values[order]
    is_real = (corners[:, 2:] - corners[:, :2] >= 1).all(axis=1)
    corners, classes, values = corners[is_real], classes[is_real], values[is_real]
    chosen = kept(corners, classes, values, iou=SUPPRESSION_IOU, most=MOST_FOUND)
    return Found.of(corners[chosen], classes[chosen], np.clip(values[chosen], 0.0, 1.0))


@dataclass(frozen=True)
class GridSums:
    """What grids are solved from, by fold."""

    levels: tuple[MapLevel, ...]
    what: FoldSums
    """Sums for the classes' scores."""
    where: FoldSums
    """Sums for the distances."""

    def grid(self, strengths: tuple[float, float], folds: tuple[int, ...]) -> Grid:
        """The grid of the pictures of some folds.

        Raises:
            DataError: they have no boxes.
        """
        one, other = strengths
        return Grid(self.levels, self.what.solved(one, only=folds), self.where.solved(other, only=folds))


@dataclass(frozen=True)
class GridFit:
    """A grid solved on all training pictures, and one for each fold that was solved without it."""

    whole: Grid
    by_fold: tuple[Grid, ...]
    strengths: tuple[float, float]
    """The strength of the penalty for the classes' scores, and for the distances."""
    sums: GridSums | None = field(default=None, repr=False, compare=False)
    """What grids of fewer folds can be solved from; None once nobody asks for them."""


def fit_grid(
    maps: ProjectedMaps, scenes: Sequence[Scene], classes: int, *, reporter: Reporter | None = None
) -> GridFit:
    """Solve a grid; the penalties' strengths are chosen by predictions for pictures of left-out folds.

    That of the distances has the smallest squared error, which their sums say at once; that of the classes'
    scores the largest average precision on 40 pictures.

    Args:
        maps: components of the pictures' maps.
        scenes: the training pictures, with their folds.
        classes: number of classes K.
        reporter: receives progress.

    Raises:
        DataError: a fold leaves no boxes to learn from.
    """
    every = tuple(range(max(scene.fold for scene in scenes) + 1))
    with (reporter or Silent()).phase("solving the grid", len(scenes)) as meter:
        sums = _sums(maps, scenes, classes, len(every), meter)
    others = [tuple(fold for fold in every if fold != one) for one in every]
    sample = scenes[:: max(1, len(scenes) // _JUDGED)]
    seen = list(_seen(maps, sample))

    def judged(strengths: tuple[float, float]) -> float:
        several = [sums.grid(strengths, folds) for folds in others]
        return map50(matched(_found(several, seen, sample), sample, classes))

    second = min(STRENGTHS, key=sums.where.error)
    best = max(((strength, second) for strength in STRENGTHS), key=judged)
    by_fold = tuple(sums.grid(best, folds) for folds in others)
    return GridFit(sums.grid(best, every), by_fold, best, sums)


def _sums(maps: ProjectedMaps, scenes: Sequence[Scene], classes: int, folds: int, meter: Meter) -> GridSums:
    levels = maps.projection.levels
    level = base_level(levels)
    width = cell_width([axes.shape[1] for axes in maps.projection.axes], levels)
    step = sampling_step(len(scenes) * level.height * level.width, width)
    what, where = FoldSums(width, classes, folds), FoldSums(width + classes, 4, folds)
    by_key = {scene.key: scene for scene in scenes}
    for keys, values in maps.batches([scene.key for scene in scenes]):
        for key, rows in zip(keys, cell_rows(values, levels), strict=True):
            scene = by_key[key]
            flat = rows.reshape(-1, width)
            target = cell_targets(scene.on_canvas, scene.classes, scene.is_ignored, classes, level)
            weights = sampled(target, level, step)
            counted = weights > 0
            what.add(flat[counted], target.classes[counted], fold=scene.fold, weights=weights[counted])
            own = CLASS_SCALE * (target.classes[target.is_middle] > 0)
            middle = np.concatenate([flat[target.is_middle], own.astype(np.float32)], axis=1)
            where.add(middle, target.sides[target.is_middle], fold=scene.fold)
            meter.advance()
    return GridSums(levels, what, where)


def _seen(maps: ProjectedMaps, scenes: Sequence[Scene]) -> Iterator[Floats]:
    """What the cells of each picture see, `(M, D)`."""
    for _, values in maps.batches([scene.key for scene in scenes]):
        for rows in cell_rows(values, maps.projection.levels):
            yield rows.reshape(-1, rows.shape[-1])


def grid_found(grids: Sequence[Grid], maps: ProjectedMaps, scenes: Sequence[Scene]) -> list[Found]:
    """What is found in each picture, by the grid of its fold; by the only one if there is one."""
    return _found(grids, _seen(maps, scenes), scenes)


def _found(grids: Sequence[Grid], seen: Iterable[Floats], scenes: Sequence[Scene]) -> list[Found]:
    found = []
    for rows, scene in zip(seen, scenes, strict=True):
        boxes, scores = grids[scene.fold if len(grids) > 1 else 0].said(rows[None])
        found.append(suppressed(boxes[0], scores[0], scene.placement))
    return found
