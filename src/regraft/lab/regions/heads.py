"""Heads on rows of regions: what is in a region, and where exactly, by two ridge regressions.

All arms use these heads on rows of the same kind, so they differ in where proposals and rows come from.
Instead of R-CNN's linear SVMs and Fast R-CNN's softmax, a regression says how much of an object a region
covers (`regraft.detection.solved.regions`); the box regression is that of Girshick et al. 2014, appendix C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.found import Found
from regraft.detection.maps.judging import map50, matched
from regraft.detection.maps.scenes import Scene
from regraft.detection.solved.grid import suppressed
from regraft.detection.solved.regions import moved, moves_to, region_targets
from regraft.detection.solved.sums import FoldSums

Floats = npt.NDArray[Any]
STRENGTHS = (1e-2, 1e-1, 1.0)
"""The penalties that left-out folds choose from."""


@dataclass(frozen=True)
class Heads:
    """The coefficients of both regressions."""

    classes: Floats
    """`(D + 1, K)`."""
    moves: Floats
    """`(D + 1, 4)`."""
    strength: float

    def found(self, rows: Floats, boxes: Floats, scene: Scene) -> Found:
        """The boxes that are found in one picture.

        Args:
            rows: `(N, D) float32`, one for each region.
            boxes: `(N, 4)`, the regions in pixels of the canvas.
            scene: the picture; only its place on the canvas is used.
        """
        scores = rows @ self.classes[:-1].astype(np.float32) + self.classes[-1].astype(np.float32)
        moves = rows @ self.moves[:-1].astype(np.float32) + self.moves[-1].astype(np.float32)
        where = scene.placement
        most = [where.canvas_width, where.canvas_height] * 2
        return suppressed(np.clip(moved(boxes, moves), 0, most), scores, where)


def fit_heads(
    rows: Sequence[Floats], boxes: Sequence[Floats], scenes: Sequence[Scene], classes: int
) -> Heads:
    """Solve both regressions; the penalty is the one with which pictures of left-out folds fare best.

    Args:
        rows: the rows of each training picture's regions, `(N, D)`.
        boxes: these regions in pixels of the canvas, `(N, 4)`.
        scenes: the training pictures with their folds.
        classes: number of classes K.

    Raises:
        DataError: a fold leaves no regions to learn from.
    """
    folds, width = max(scene.fold for scene in scenes) + 1, rows[0].shape[1]
    what, where = FoldSums(width, classes, folds), FoldSums(width, 4, folds)
    for row, corners, scene in zip(rows, boxes, scenes, strict=True):
        targets, weights, aims, is_near = region_targets(corners, scene, classes)
        what.add(row, targets, fold=scene.fold, weights=weights)
        where.add(row[is_near], moves_to(corners[is_near], aims[is_near]), fold=scene.fold)

    def solved(strength: float, without: int | None = None) -> Heads:
        one, other = (each.solved(strength, without=without) for each in (what, where))
        return Heads(one, other, strength)

    def held_out(strength: float) -> float:
        heads = [solved(strength, fold) for fold in range(folds)]
        found = [
            heads[scene.fold].found(row, corners, scene)
            for row, corners, scene in zip(rows, boxes, scenes, strict=True)
        ]
        return map50(matched(found, scenes, classes))

    return solved(max(STRENGTHS, key=held_out))
