"""Solved regions: Fast R-CNN (Girshick 2015) without a gradient step.

The grid proposes boxes; what the maps show inside each of them becomes a row (`alignment`), from which ridge
regressions say how much of an object of each class the box covers, and how it should move. The second pass
does the same with the moved boxes (Cai & Vasconcelos 2018, "Cascade R-CNN", in closed form).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.found import Found
from regraft.detection.maps.judging import map50, matched
from regraft.detection.maps.projected import ProjectedMaps
from regraft.detection.maps.scenes import Scene
from regraft.detection.solved.alignment import region_rows, row_width
from regraft.detection.solved.grid import Grid, GridFit, proposals, suppressed
from regraft.detection.solved.sums import FoldSums
from regraft.evaluation.boxes import overlaps
from regraft.progress import Reporter, Silent
from regraft.records import MapLevel

Floats = npt.NDArray[Any]
PASSES = 2
STRENGTHS = (1e-2, 1e-1, 1.0)
"""The ridge penalties that cross-validation chooses from."""
_BACKGROUND_WEIGHT = 0.25
_LEAST_IOU = 0.3
"""Boxes that overlap less with an object say nothing of it."""
_MOVED_IOU = 0.5
"""Boxes that overlap at least so much with an object learn to move there."""
_JUDGED = 64


@dataclass(frozen=True)
class Pass:
    """The coefficients of one pass over the boxes."""

    classes: Floats
    """`(D + 1, K)`: the share of an object of each class that a box covers."""
    moves: Floats
    """`(D + 1, 4)`: the move of the box, as in R-CNN."""


@dataclass(frozen=True)
class Regions:
    """Solved regions, with the grid that proposes them."""

    grid: Grid
    passes: tuple[Pass, ...]

    def found(self, maps: Sequence[Floats], placement: Placement) -> Found:
        """What is found in one picture; maps are `(height, width, K)` for each level."""
        boxes = self.proposed(maps)
        scores = np.zeros((0, self.passes[-1].classes.shape[1]))
        for one in self.passes:
            boxes, scores = judged(one, maps, self.grid.levels, boxes)
        return suppressed(boxes, scores, placement)

    def proposed(self, maps: Sequence[Floats]) -> Floats:
        """The boxes that the grid proposes, `(N, 4)`."""
        boxes, scores = self.grid.cells([one[None] for one in maps])
        return proposals(boxes[0], scores[0])


def judged(
    one: Pass, maps: Sequence[Floats], levels: Sequence[MapLevel], boxes: Floats
) -> tuple[Floats, Floats]:
    """Boxes as a pass moves them, and its scores `(N, K)` for them."""
    rows = region_rows(maps, levels, boxes)
    scores = rows @ one.classes[:-1].astype(np.float32) + one.classes[-1].astype(np.float32)
    moves = rows @ one.moves[:-1].astype(np.float32) + one.moves[-1].astype(np.float32)
    most = np.array([levels[0].width * levels[0].stride, levels[0].height * levels[0].stride] * 2)
    return np.clip(moved(boxes, moves), 0, most), scores


def moves_to(boxes: Floats, aims: Floats) -> Floats:
    """The moves that bring boxes to other boxes, `(N, 4)` (Girshick et al. 2014, appendix C).

    >>> moves_to(np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10]])).tolist()
    [[0.5, 0.0, 0.0, 0.0]]
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    shift = ((aims[:, :2] + aims[:, 2:]) - (boxes[:, :2] + boxes[:, 2:])) / (2 * sides)
    return np.concatenate([shift, np.log(np.maximum(aims[:, 2:] - aims[:, :2], 1.0) / sides)], axis=1)


def moved(boxes: Floats, moves: Floats) -> Floats:
    """Boxes after their moves, `(N, 4)`; the inverse of `moves_to`."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2 + np.clip(moves[:, :2], -1.0, 1.0) * sides
    halves = sides * np.exp(np.clip(moves[:, 2:], -1.0, 1.0)) / 2
    return np.concatenate([middles - halves, middles + halves], axis=1)


@dataclass(frozen=True)
class RegionsFit:
    """Regions solved on all training pictures, and those of each fold that were solved without it."""

    whole: Regions
    by_fold: tuple[Regions, ...]
    strength: float


def fit_regions(
    fit: GridFit,
    maps: ProjectedMaps,
    scenes: Sequence[Scene],
    classes: int,
    *,
    reporter: Reporter | None = None,
) -> RegionsFit:
    """Solve the passes; each fold's boxes come from the grid, and the passes, that did not see the fold.

    Args:
        fit: the solved grid.
        maps: components of the pictures' maps.
        scenes: the training pictures, with their folds.
        classes: number of classes K.
        reporter: receives progress.
    """
    folds = len(fit.by_fold)
    boxes = _each(maps, scenes, lambda values, scene: _proposed(fit.by_fold[scene.fold], values))
    whole: list[Pass] = []
    by_fold: list[list[Pass]] = [[] for _ in range(folds)]
    strength = 0.0
    for number in range(PASSES):
        name = f"solving regions, pass {number + 1} of {PASSES}"
        what, where = _sums(maps, scenes, boxes, classes, folds, name, reporter or Silent())
        if not number:
            strength = _best_strength(what, where, maps, scenes, boxes, classes, folds)
        whole.append(Pass(what.solved(strength), where.solved(strength)))
        for fold in range(folds):
            by_fold[fold].append(
                Pass(what.solved(strength, without=fold), where.solved(strength, without=fold))
            )
        if number + 1 < PASSES:
            boxes = _moved_on([passes[-1] for passes in by_fold], maps, scenes, boxes)
    return RegionsFit(
        Regions(fit.whole, tuple(whole)),
        tuple(Regions(grid, tuple(passes)) for grid, passes in zip(fit.by_fold, by_fold, strict=True)),
        strength,
    )


def _proposed(grid: Grid, values: Sequence[Floats]) -> Floats:
    boxes, scores = grid.cells([one[None] for one in values])
    return proposals(boxes[0], scores[0])


def _moved_on(
    passes: Sequence[Pass], maps: ProjectedMaps, scenes: Sequence[Scene], boxes: Sequence[Floats]
) -> list[Floats]:
    """The boxes of each picture as the pass of its fold moves them."""
    own = iter(boxes)

    def moved_boxes(values: list[Floats], scene: Scene) -> Floats:
        return judged(passes[scene.fold], values, maps.projection.levels, next(own))[0]

    return _each(maps, scenes, moved_boxes)


def _each(
    maps: ProjectedMaps, scenes: Sequence[Scene], what: Callable[[list[Floats], Scene], Any]
) -> list[Any]:
    """What a function gives for the maps of each picture, in order."""
    results: list[Any] = []
    for keys, values in maps.batches([scene.key for scene in scenes]):
        for place in range(len(keys)):
            results.append(what([one[place] for one in values], scenes[len(results)]))
    return results


def _best_strength(
    what: FoldSums,
    where: FoldSums,
    maps: ProjectedMaps,
    scenes: Sequence[Scene],
    boxes: Sequence[Floats],
    classes: int,
    folds: int,
) -> float:
    """The penalty with the best average precision on pictures of left-out folds, from a sample."""
    levels = maps.projection.levels
    chosen = range(0, len(scenes), max(1, len(scenes) // _JUDGED))
    sample = [scenes[place] for place in chosen]
    values: dict[float, float] = {}
    for strength in STRENGTHS:
        passes = [
            Pass(what.solved(strength, without=fold), where.solved(strength, without=fold))
            for fold in range(folds)
        ]
        own = iter([boxes[place] for place in chosen])

        def found(one: list[Floats], scene: Scene, passes: Any = passes, own: Any = own) -> Found:
            return suppressed(*judged(passes[scene.fold], one, levels, next(own)), scene.placement)

        values[strength] = map50(matched(_each(maps, sample, found), sample, classes))
    return max(STRENGTHS, key=lambda strength: values[strength])


def _sums(
    maps: ProjectedMaps,
    scenes: Sequence[Scene],
    boxes: Sequence[Floats],
    classes: int,
    folds: int,
    name: str,
    reporter: Reporter,
) -> tuple[FoldSums, FoldSums]:
    levels = maps.projection.levels
    width = row_width(maps.projection)
    what, where = FoldSums(width, classes, folds), FoldSums(width, 4, folds)
    own = iter(boxes)
    with reporter.phase(name, len(scenes)) as meter:

        def add(values: list[Floats], scene: Scene) -> None:
            corners = next(own)
            rows = region_rows(values, levels, corners)
            targets, weights, aims, is_near = region_targets(corners, scene, classes)
            what.add(rows, targets, fold=scene.fold, weights=weights)
            where.add(rows[is_near], moves_to(corners[is_near], aims[is_near]), fold=scene.fold)
            meter.advance()

        _each(maps, scenes, add)
    return what, where


def region_targets(
    boxes: Floats, scene: Scene, classes: int
) -> tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]:
    """What the regressions should say of boxes.

    Args:
        boxes: `(N, 4)`, in pixels of the canvas.
        scene: the picture, with its true boxes.
        classes: number of classes K.

    Returns:
        The overlap with the nearest object of each class `(N, K)`, 0 if it is below .3; weights `(N,)`; the
        nearest objects' boxes `(N, 4)`; and whether they are near enough to learn to move there `(N,)`.
    """
    truth, counts = scene.on_canvas, ~scene.is_ignored
    targets = np.zeros((len(boxes), classes), dtype=np.float32)
    aims, is_near = np.zeros((len(boxes), 4)), np.zeros(len(boxes), dtype=bool)
    shares = overlaps(boxes, truth, scene.is_crowd)
    for number in np.unique(scene.classes[counts]):
        own = shares[:, counts & (scene.classes == number)].max(axis=1)
        targets[:, number] = np.where(own >= _LEAST_IOU, own, 0.0)
    if counts.any():
        nearest = shares[:, counts].argmax(axis=1)
        aims, is_near = truth[counts][nearest], shares[:, counts].max(axis=1) >= _MOVED_IOU
    weights = np.where(targets.max(axis=1) > 0, 1.0, _BACKGROUND_WEIGHT)
    if scene.is_ignored.any():
        beside = shares[:, scene.is_ignored].max(axis=1) >= _MOVED_IOU
        weights[beside & ~is_near] = 0.0
    return targets, weights, aims, is_near


def regions_found(regions: Sequence[Regions], maps: ProjectedMaps, scenes: Sequence[Scene]) -> list[Found]:
    """What is found in each picture, by the regions of its fold; by the only ones if there are no others."""

    def found(values: list[Floats], scene: Scene) -> Found:
        return regions[scene.fold if len(regions) > 1 else 0].found(values, scene.placement)

    return _each(maps, scenes, found)
