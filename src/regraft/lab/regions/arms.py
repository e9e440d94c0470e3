"""R-CNN (Girshick et al. 2014), Fast R-CNN (Girshick 2015) and Faster R-CNN (Ren et al. 2015), frozen.

They share the pictures, the pretrained network, which is not trained further, the components of its maps and
the kind of heads. What differs is history's point: where proposals come from, and how often the network runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft.detection.maps.found import Found
from regraft.detection.maps.projected import ProjectedMaps
from regraft.detection.maps.projection import Projection, fit_projection
from regraft.detection.maps.scenes import Scene
from regraft.detection.maps.suppression import kept
from regraft.detection.solved.alignment import BINS, WIDTHS, region_rows
from regraft.detection.solved.grid import Grid, GridFit, fit_grid
from regraft.features.extraction import as_half
from regraft.features.runtimes import Runtime
from regraft.lab.regions.draws import Draw
from regraft.lab.regions.heads import Heads, fit_heads
from regraft.lab.regions.search import selective_search
from regraft.progress import Reporter
from regraft.records import MapLevel
from regraft.storage.rows import Rows

RCNN, FAST, FASTER = "R-CNN", "Fast R-CNN", "Faster R-CNN"
MOST_PROPOSALS = 300
CONTEXT = 16 / 195
"""What a warped region shows of its surroundings at each side, as a share of its own side: 16 of 227 pixels
(Girshick et al. 2014, appendix A)."""
_PROPOSAL_IOU = 0.7
Floats = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Engines:
    """One network, opened for whole pictures and for single regions."""

    pictures: Runtime
    regions: Runtime
    region_px: int
    """Side of the square to which regions are warped."""

    def maps(self, pixels: Pixels) -> Floats:
        """The row of maps of one picture, as it would be kept."""
        return as_half(next(iter(self.pictures.run([(0, pixels)])))[1])

    def region_maps(self, warped: Sequence[Pixels]) -> Floats:
        """The rows of maps of warped regions, `(N, F)`."""
        rows = dict(self.regions.run(enumerate(warped)))
        return np.stack([as_half(rows[place]) for place in range(len(warped))])


@dataclass(frozen=True)
class Looked:
    """What an arm found in one test picture, and the processor seconds that its parts took.

    Processor seconds are those of all threads of this process: what other processes do hardly changes them.
    """

    proposals: Floats
    """`(N, 4)`, at most 300, the most promising first, in pixels of the canvas."""
    found: Found
    proposals_s: float
    network_s: float
    heads_s: float
    passes: int
    """How many images went through the network."""


@dataclass(frozen=True)
class Searched:
    """The proposals of selective search for one picture."""

    boxes: Floats
    seconds: float
    """Processor seconds that the search took."""


def searched(draw: Draw, reporter: Reporter) -> dict[str, Searched]:
    """Selective search in all pictures of a draw; boxes are those of the part that the picture covers."""
    found = {}
    scenes = (*draw.train, *draw.test)
    with reporter.phase("selective search", len(scenes)) as meter:
        for scene in scenes:
            width, height = scene.placement.covered
            started = time.process_time()
            boxes = selective_search(draw.pixels[scene.key][:height, :width], most=MOST_PROPOSALS)
            found[scene.key] = Searched(boxes, time.process_time() - started)
            meter.advance()
    return found


def shared_projection(draw: Draw, engines: Engines) -> tuple[Projection, dict[str, Floats]]:
    """The components of the training pictures' maps, which all arms use, and these pictures' rows of maps."""
    rows = {scene.key: engines.maps(draw.pixels[scene.key]) for scene in draw.train}
    return fit_projection(engines.pictures.maps, _in_memory(rows), list(rows)), rows


def _in_memory(rows: dict[str, Floats]) -> Rows:
    return Rows([np.stack(list(rows.values()))], {key: place for place, key in enumerate(rows)})


@dataclass(frozen=True)
class Shared:
    """What all arms use on one draw."""

    draw: Draw
    projection: Projection
    rows: dict[str, Floats]
    """The row of maps of each training picture, by its key."""
    engines: Engines
    classes: int
    """The number of classes."""

    def mapped(self, scene: Scene) -> tuple[list[Floats], float]:
        """The components of a picture's maps, and the processor seconds that they took."""
        started = time.process_time()
        maps = self._components(self.engines.maps(self.draw.pixels[scene.key]))
        return maps, time.process_time() - started

    def heads(self, boxes: Sequence[Floats]) -> Heads:
        """Heads on these regions `(N, 4)` of the maps of each training picture."""
        training = [
            region_rows(self._components(self.rows[scene.key]), self.projection.levels, corners)
            for scene, corners in zip(self.draw.train, boxes, strict=True)
        ]
        return fit_heads(training, boxes, self.draw.train, self.classes)

    def _components(self, row: Floats) -> list[Floats]:
        return [one[0] for one in self.projection.of(row[None])]


def look_rcnn(
    shared: Shared, found: Mapping[str, Searched], regions: int, reporter: Reporter
) -> list[Looked]:
    """R-CNN: every region is warped and passes through the network alone.

    Args:
        shared: what all arms use.
        found: the proposals of selective search for each picture, by its key.
        regions: how many of them are used.
        reporter: receives progress.
    """
    draw, engines = shared.draw, shared.engines

    def rows(scene: Scene, boxes: Floats) -> tuple[Floats, float]:
        started = time.process_time()
        maps = engines.region_maps(warp(draw.pixels[scene.key], boxes, engines.region_px))
        passed = time.process_time() - started
        return crop_rows(maps, boxes, shared.projection, engines.regions.maps), passed

    training, corners = [], []
    with reporter.phase("R-CNN: regions of training pictures", len(draw.train)) as meter:
        for scene in draw.train:
            proposals = _with_truth(found[scene.key].boxes[:regions], scene)
            training.append(rows(scene, proposals)[0])
            corners.append(proposals)
            meter.advance()
    heads = fit_heads(training, corners, draw.train, shared.classes)
    rows(draw.test[0], found[draw.test[0].key].boxes[:2])  # the first pass of a network is slower
    looked = []
    with reporter.phase("R-CNN: test pictures", len(draw.test)) as meter:
        for scene in draw.test:
            own = found[scene.key]
            started = time.process_time()
            row, network_s = rows(scene, own.boxes[:regions])
            boxes = heads.found(row, own.boxes[:regions], scene)
            heads_s = time.process_time() - started - network_s
            looked.append(Looked(own.boxes, boxes, own.seconds, network_s, heads_s, len(row)))
            meter.advance()
    return looked


def look_fast(shared: Shared, found: Mapping[str, Searched], regions: int) -> list[Looked]:
    """Fast R-CNN: one pass over the picture; regions are cut out of its maps. Arguments as for R-CNN."""
    draw = shared.draw
    heads = shared.heads([_with_truth(found[one.key].boxes[:regions], one) for one in draw.train])
    shared.mapped(draw.test[0])
    looked = []
    for scene in draw.test:
        own = found[scene.key]
        maps, network_s = shared.mapped(scene)
        started = time.process_time()
        row = region_rows(maps, shared.projection.levels, own.boxes[:regions])
        boxes = heads.found(row, own.boxes[:regions], scene)
        looked.append(Looked(own.boxes, boxes, own.seconds, network_s, time.process_time() - started, 1))
    return looked


def look_faster(shared: Shared, regions: int) -> list[Looked]:
    """Faster R-CNN: the maps propose the regions, too; a grid in closed form stands for the RPN."""
    draw = shared.draw
    maps = ProjectedMaps(_in_memory(shared.rows), shared.projection, list(shared.rows))
    fit = fit_grid(maps, draw.train, shared.classes)
    heads = shared.heads(_proposed_in_training(fit, maps, draw.train, regions))
    shared.mapped(draw.test[0])
    looked = []
    for scene in draw.test:
        own, network_s = shared.mapped(scene)
        started = time.process_time()
        proposals = grid_proposals(fit.whole, own)
        proposed = time.process_time()
        row = region_rows(own, shared.projection.levels, proposals[:regions])
        boxes = heads.found(row, proposals[:regions], scene)
        ended = time.process_time()
        looked.append(Looked(proposals, boxes, proposed - started, network_s, ended - proposed, 1))
    return looked


def warp(pixels: Pixels, boxes: Floats, side_px: int) -> list[Pixels]:
    """Each region with a little of its surroundings, resized to a square whatever its shape.

    Args:
        pixels: `(H, W, 3)`.
        boxes: `(N, 4)`; what would be outside of the picture is left out.
        side_px: side of the square.
    """
    image = Image.fromarray(pixels)
    margins = CONTEXT * (boxes[:, 2:] - boxes[:, :2])
    low = np.maximum(boxes[:, :2] - margins, 0)
    high = np.minimum(boxes[:, 2:] + margins, [image.width, image.height])
    return [
        np.asarray(image.resize((side_px, side_px), Image.Resampling.BILINEAR, box=tuple(edges)))
        for edges in np.concatenate([low, high], axis=1).tolist()
    ]


def crop_rows(maps: Floats, boxes: Floats, projection: Projection, levels: Sequence[MapLevel]) -> Floats:
    """Rows of regions from the maps of their own passes: means of the same bins and components as on maps.

    Args:
        maps: rows of maps of the N warped regions, `(N, F)`.
        boxes: the regions, `(N, 4)`.
        projection: the components, fitted on maps of whole pictures.
        levels: the maps of a row.

    Returns:
        `(N, D) float32`, D as in `region_rows`.
    """
    parts = []
    for level, mean, axes in zip(levels, projection.means, projection.axes, strict=True):
        bins, width = BINS[level.stride], min(WIDTHS[level.stride], axes.shape[1])
        cells = maps[:, level.start : level.stop].astype(np.float32)
        cells = cells.reshape(len(maps), level.height, level.width, level.channels)
        edges = [np.linspace(0, size, bins + 1).round().astype(int) for size in (level.height, level.width)]
        for top, bottom in zip(edges[0], edges[0][1:], strict=False):
            for left, right in zip(edges[1], edges[1][1:], strict=False):
                own = cells[:, top : max(bottom, top + 1), left : max(right, left + 1)].mean(axis=(1, 2))
                parts.append((own - mean) @ axes[:, :width])
    sides = np.log(np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0))
    shape = np.stack([sides[:, 0], sides[:, 1], sides[:, 0] - sides[:, 1]], axis=1)
    return np.concatenate([*parts, shape], axis=1, dtype=np.float32)


def grid_proposals(grid: Grid, maps: Sequence[Floats]) -> Floats:
    """The boxes of all cells of one picture that may hold an object, `(N, 4)`, the most promising first."""
    boxes, scores = grid.cells([one[None] for one in maps])
    own, best = boxes[0], scores[0].max(axis=1)
    is_real = np.flatnonzero((own[:, 2:] - own[:, :2] >= 1).all(axis=1))
    chosen = kept(
        own[is_real], np.zeros(len(is_real), np.int64), best[is_real], iou=_PROPOSAL_IOU, most=MOST_PROPOSALS
    )
    found: Floats = own[is_real[chosen]]
    return found


def _proposed_in_training(
    fit: GridFit, maps: ProjectedMaps, scenes: Sequence[Scene], regions: int
) -> list[Floats]:
    """Proposals for each training picture by the grid that did not see its fold, as new pictures get them."""
    found: list[Floats] = []
    for keys, values in maps.batches([scene.key for scene in scenes]):
        for place in range(len(keys)):
            scene = scenes[len(found)]
            own = grid_proposals(fit.by_fold[scene.fold], [one[place] for one in values])
            found.append(_with_truth(own[:regions], scene))
    return found


def _with_truth(boxes: Floats, scene: Scene) -> Floats:
    """Proposals of a training picture and its true boxes, which all three papers learn from, too."""
    return np.concatenate([boxes, scene.on_canvas[~scene.is_ignored]])
