"""Detectors in closed form as torch modules, equal to those of `detection.solved` up to rounding.

No shape depends on a value before the last step, so that a graph can be traced: boxes that fall out keep
their places and get the score -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torchvision.ops import nms, roi_align

from regraft.detection.detectors.finders import GridFinder, RegionsFinder
from regraft.detection.graph.way_back import WayBack, is_real
from regraft.detection.maps.projection import Projection
from regraft.detection.solved.alignment import BINS, WIDTHS
from regraft.detection.solved.cells import NEIGHBOUR_WIDTH, base_level, cell_centres
from regraft.detection.solved.grid import (
    CLASS_SCALE,
    LEAST_SCORE,
    MOST_CANDIDATES,
    MOST_FOUND,
    PROPOSAL_IOU,
    PROPOSALS,
    SUPPRESSION_IOU,
    Grid,
)
from regraft.detection.solved.regions import Pass
from regraft.records import MapLevel

_GONE = -1.0
Few = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Corners `(T, 4) float64` in pixels of the picture, classes `(T,) int64`, scores `(T,)`, -1 for no box."""


class Linear(nn.Module):
    """Rows `(..., D)` to `(..., K)` by coefficients `(D + 1, K)`, the intercepts last."""

    slopes: torch.Tensor
    intercepts: torch.Tensor

    def __init__(self, coefficients: npt.NDArray[Any]) -> None:
        super().__init__()
        self.register_buffer("slopes", _tensor(coefficients[:-1]))
        self.register_buffer("intercepts", _tensor(coefficients[-1]))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ self.slopes + self.intercepts


class Components(nn.Module):
    """The principal components of rows of maps, as `Projection.of`."""

    def __init__(self, projection: Projection) -> None:
        super().__init__()
        self.levels = projection.levels
        self.each = nn.ModuleList(
            [
                Linear(np.concatenate([axes, -(mean @ axes)[None]]))
                for mean, axes in zip(projection.means, projection.axes, strict=True)
            ]
        )

    def forward(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """From `(1, F)` to `(height, width, K)` for each level."""
        return [
            each(rows[0, level.start : level.stop].reshape(level.height, level.width, level.channels))
            for each, level in zip(self.each, self.levels, strict=True)
        ]


class CellGrid(nn.Module):
    """What the cells of a picture say, as `Grid.cells`."""

    centres: torch.Tensor
    edges: torch.Tensor
    by_class: torch.Tensor

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.levels, self.base = grid.levels, base_level(grid.levels)
        width = len(grid.classes) - 1
        self.classes = Linear(grid.classes)
        self.sides = Linear(np.concatenate([grid.sides[:width], grid.sides[-1:]]))
        self.register_buffer("by_class", _tensor(CLASS_SCALE * grid.sides[width:-1]))
        self.register_buffer("centres", _tensor(cell_centres(self.base)))
        self.register_buffer("edges", _tensor(_edges(self.base)))

    def forward(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """From `(height, width, K)` for each level to boxes `(M, 4)` on the canvas and scores `(M, K)`."""
        rows = self._rows(maps).flatten(0, 1)
        scores = self.classes(rows)
        sides = self.sides(rows) + self.by_class[scores.argmax(dim=1)]
        distances = sides.clamp(-4.0, 5.0).exp() * self.base.stride
        boxes = torch.cat([self.centres - distances[:, :2], self.centres + distances[:, 2:]], dim=1)
        return torch.minimum(boxes.clamp_min(0.0), self.edges), scores

    def _rows(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """What every cell sees `(H, W, D)`, as `cell_rows`."""
        base = self.base
        parts = []
        for values, level in zip(maps, self.levels, strict=True):
            if level.stride < base.stride:
                times = base.stride // level.stride
                values = values.reshape(base.height, times, base.width, times, -1).mean(dim=(1, 3))
            for _ in range(int(np.log2(max(1, level.stride // base.stride)))):
                values = _between(_between(values, 0), 1)
            parts.append(values)
        own = maps[self.levels.index(base)][..., :NEIGHBOUR_WIDTH]
        beside = [_shifted(own, axis, way) for axis in (1, 0) for way in (-1, 1)]
        return torch.cat([*parts, *beside], dim=2)


def _shifted(values: torch.Tensor, axis: int, way: int) -> torch.Tensor:
    """Each cell's neighbour before (-1) or after it (1); at the edge, the cell itself."""
    size = values.shape[axis]
    if way < 0:
        return torch.cat([values.narrow(axis, 0, 1), values.narrow(axis, 0, size - 1)], dim=axis)
    return torch.cat([values.narrow(axis, 1, size - 1), values.narrow(axis, size - 1, 1)], dim=axis)


def _between(values: torch.Tensor, axis: int) -> torch.Tensor:
    """Twice as many values along an axis, at a quarter and three quarters of each cell."""
    here = 0.75 * values
    low, high = (here + 0.25 * _shifted(values, axis, way) for way in (-1, 1))
    return torch.stack([low, high], dim=axis + 1).flatten(axis, axis + 1)


class GridGraph(nn.Module):
    """A `GridFinder`, without the rounding of its arithmetic to double precision."""

    def __init__(self, finder: GridFinder) -> None:
        super().__init__()
        self.components = Components(finder.projection)
        self.cells = CellGrid(finder.grid)
        self.suppression = Suppression(_canvas(finder.levels))

    def forward(self, rows: torch.Tensor, picture: torch.Tensor) -> Few:
        """What is found in a picture of this size `(2,)`, from its row of maps `(1, F) float32`."""
        found: Few = self.suppression(*self.cells(self.components(rows)), picture)
        return found


class RegionsGraph(nn.Module):
    """A `RegionsFinder`; RoIAlign (He et al. 2017) reads what is inside of each box."""

    def __init__(self, finder: RegionsFinder) -> None:
        super().__init__()
        self.components = Components(finder.projection)
        self.cells = CellGrid(finder.regions.grid)
        self.passes = nn.ModuleList([PassGraph(one, finder.levels) for one in finder.regions.passes])
        self.suppression = Suppression(_canvas(finder.levels))

    def forward(self, rows: torch.Tensor, picture: torch.Tensor) -> Few:
        """What is found in a picture of this size `(2,)`, from its row of maps `(1, F) float32`."""
        maps = self.components(rows)
        boxes, is_there = proposals(*self.cells(maps))
        scores = torch.zeros(0)
        for one in self.passes:
            boxes, scores = one(maps, boxes)
        found: Few = self.suppression(boxes, torch.where(is_there[:, None], scores, _GONE), picture)
        return found


def proposals(boxes: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The boxes of one picture that may hold an object of any class, as `grid.proposals`.

    Args:
        boxes: `(M, 4)`, one for each cell.
        scores: `(M, K)`.

    Returns:
        60 boxes `(P, 4)`, or M if there are fewer cells, and which of them are proposed `(P,) bool`.
    """
    best, order = scores.amax(dim=1).topk(min(MOST_CANDIDATES, len(boxes)))
    corners = boxes[order]
    lowest = best.amin(dim=0) - 1  # below all others, whatever their scores are
    best = torch.where(is_real(corners), best, lowest)
    kept = torch.where(_is_kept(corners, best, PROPOSAL_IOU), best, lowest)
    values, place = kept.topk(min(PROPOSALS, len(order)))
    return corners[place], values > lowest


class PassGraph(nn.Module):
    """One pass over the boxes, as `regions.judged`."""

    edges: torch.Tensor

    def __init__(self, one: Pass, levels: Sequence[MapLevel]) -> None:
        super().__init__()
        self.levels = levels
        self.classes, self.moves = Linear(one.classes), Linear(one.moves)
        self.register_buffer("edges", _tensor(_edges(levels[0])))

    def forward(self, maps: Sequence[torch.Tensor], boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes `(P, 4)` as the pass moves them, and its scores `(P, K)` for them."""
        sides = (boxes[:, 2:] - boxes[:, :2]).clamp_min(1.0)
        rows = self._rows(maps, boxes, sides.log())
        moves = self.moves(rows).clamp(-1.0, 1.0)
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2 + moves[:, :2] * sides
        halves = sides * moves[:, 2:].exp() / 2
        moved = torch.cat([middles - halves, middles + halves], dim=1)
        return torch.minimum(moved.clamp_min(0.0), self.edges), self.classes(rows)

    def _rows(self, maps: Sequence[torch.Tensor], boxes: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
        """What the maps show inside of each box `(P, D)`, as `region_rows`."""
        numbered = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], dim=1)
        parts = []
        for values, level in zip(maps, self.levels, strict=True):
            bins, seen = BINS[level.stride], values[..., : WIDTHS[level.stride]].permute(2, 0, 1)[None]
            aligned = roi_align(seen, numbered, (bins, bins), 1 / level.stride, 1, aligned=True)
            parts.append(aligned.permute(0, 2, 3, 1).flatten(1))
        return torch.cat([*parts, shape, shape[:, :1] - shape[:, 1:]], dim=1)


class Suppression(nn.Module):
    """The boxes of one picture that are found, as `grid.suppressed`.

    Args:
        canvas: width and height of the canvas in pixels.
    """

    def __init__(self, canvas: tuple[int, int]) -> None:
        super().__init__()
        self.way_back, self.step = WayBack(canvas), float(max(canvas) + 1)

    def forward(self, boxes: torch.Tensor, scores: torch.Tensor, picture: torch.Tensor) -> Few:
        """At most 100 boxes, from boxes `(M, 4)` on the canvas and the scores `(M, K)` of each class."""
        classes = scores.shape[1]
        values, flat = scores.flatten().topk(min(MOST_CANDIDATES, scores.numel()))
        place, number = flat // classes, flat % classes
        corners = self.way_back(boxes[place], picture)
        values = torch.where((values > LEAST_SCORE) & is_real(corners), values, _GONE)
        covered = self.way_back.covered(picture)
        inside = torch.minimum(boxes[place], torch.cat([covered, covered]).float())
        values = torch.where(_is_kept(self._apart(inside, number, classes), values, SUPPRESSION_IOU),
                             values, _GONE)  # fmt: skip
        values, best = values.topk(min(MOST_FOUND, len(values)))
        return corners[best], number[best], values.clamp_max(1.0)

    def _apart(self, corners: torch.Tensor, number: torch.Tensor, classes: int) -> torch.Tensor:
        """Boxes moved so that those of different classes don't touch; overlaps are the same on the canvas.

        Classes lie in rows and columns, so that coordinates stay small and exact to a thousandth of a pixel.
        """
        columns = int(np.ceil(np.sqrt(classes)))
        shift = torch.stack([number % columns, number // columns], dim=1) * self.step
        return corners + torch.cat([shift, shift], dim=1)


def _is_kept(corners: torch.Tensor, scores: torch.Tensor, iou: float) -> torch.Tensor:
    """Whether each box `(T, 4)` remains after suppression, `(T,) bool`; larger scores come first."""
    numbers = nms(corners, scores, iou)
    return torch.zeros_like(scores).index_fill(0, numbers, 1.0) > 0


def _canvas(levels: Sequence[MapLevel]) -> tuple[int, int]:
    return levels[0].width * levels[0].stride, levels[0].height * levels[0].stride


def _edges(level: MapLevel) -> npt.NDArray[np.float32]:
    """The right and bottom edges of the canvas, for all corners."""
    return np.array([level.width * level.stride, level.height * level.stride] * 2, dtype=np.float32)


def _tensor(values: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
