"""A light two-stage detector: regions that may hold an object, then a class and a better box for each.

Source: Ren et al. 2015, "Faster R-CNN". The first stage is a dense head of a single class, without anchors,
and its score is a factor of the final one (Zhou et al. 2021, "Probabilistic two-stage detection").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from regraft.detection.trained.assignment import IGNORED
from regraft.detection.trained.boxes import (
    areas,
    clipped,
    from_offsets,
    generalised_overlaps,
    overlaps,
    shared_areas,
)
from regraft.detection.trained.cells import shapes_of
from regraft.detection.trained.head import MOST_CANDIDATES, Candidates, DetectionHead, distinct
from regraft.detection.trained.levels import Levels, Spread
from regraft.detection.trained.neck import Neck
from regraft.detection.trained.one_stage import Dense, DenseHead
from regraft.detection.trained.regions import BINS, region_features
from regraft.records import MapLevel

_TRAINED = 64  # regions of a picture in training
_PROPOSED = 256  # cells among which regions are chosen
_DISTINCT = 0.7
_IS_OBJECT = 0.5
_HIDDEN = 256
_BOX_WEIGHT = 1.0


class TwoStageOutput(NamedTuple):
    """What the first stage says about each of N pictures, and the maps that the second one reads."""

    cells: torch.Tensor
    """`(N, L, C) float32`, maps of all levels."""
    dense: Dense


class RegionHead(nn.Module):
    """From features of regions to logits of the classes and of the background, and offsets of the box.

    Args:
        width: channels of the maps.
        classes: the number of classes K.
    """

    def __init__(self, *, width: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(BINS * BINS * width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU()
        )
        self.kind = nn.Linear(_HIDDEN, classes + 1)
        self.offsets = nn.Linear(_HIDDEN, 4)
        for layer, spread in ((self.kind, 0.01), (self.offsets, 0.001)):
            nn.init.normal_(layer.weight, std=spread)
            nn.init.zeros_(layer.bias)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits `(..., K + 1)`, the background last, and offsets `(..., 4)`."""
        hidden = self.hidden(features)
        return self.kind(hidden), self.offsets(hidden)


class TwoStage(DetectionHead):
    """The whole two-stage detector behind cached maps.

    Args:
        levels: where each level is in a row of maps.
        canvas: width and height of the canvas in pixels.
        classes: the number of classes K.
        width: channels of the neck and the heads.
        regions: regions of a picture that are looked at in prediction.
        objects: mean number of boxes in a picture of the training set.
        spread: what maps are standardised by; None before saved weights are loaded.
    """

    def __init__(
        self,
        levels: Sequence[MapLevel],
        canvas: tuple[int, int],
        *,
        classes: int,
        width: int,
        regions: int = 128,
        objects: float = 1.0,
        spread: Sequence[Spread] | None = None,
    ) -> None:
        super().__init__()
        self.canvas, self.classes, self.regions = canvas, classes, regions
        shapes = shapes_of(levels)
        self.levels = Levels(levels, spread)
        self.neck = Neck([level.channels for level in levels], shapes, width)
        self.dense = DenseHead(shapes, width=width, classes=1, objects=objects)
        self.second = RegionHead(width=width, classes=classes)

    def forward(self, rows: torch.Tensor) -> TwoStageOutput:
        maps = self.neck(self.levels(rows))
        return TwoStageOutput(self.dense.cells.together(maps), self.dense(maps))

    def losses(self, output: TwoStageOutput, targets: torch.Tensor) -> torch.Tensor:
        """The losses of both stages; regions are chosen by their scores, without random draws."""
        is_box = targets[..., :1] >= 0
        objects = torch.cat([torch.where(is_box, 0.0, targets[..., :1]), targets[..., 1:]], dim=-1)
        first = self.dense.losses(output.dense, objects)
        with torch.no_grad():
            _, corners = self._proposals(output.dense, _TRAINED)
        features = region_features(output.cells.float(), corners, self.dense.cells, by_bags=True)
        logits, offsets = self.second(features)
        return first + self._second_losses(corners, logits, offsets, targets)

    def _proposals(self, dense: Dense, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The most probable regions that overlap little: scores `(N, R)` and corners `(N, R, 4)`."""
        scores = dense.classes[..., 0].sigmoid()
        best, place = scores.topk(min(2 * count if count > 128 else _PROPOSED, scores.shape[1]), dim=1)
        corners = clipped(dense.corners.gather(1, place[..., None].expand(-1, -1, 4)), self.canvas)
        best = best * distinct(corners, limit=_DISTINCT)
        best, place = best.topk(min(count, best.shape[1]), dim=1)
        return best, corners.gather(1, place[..., None].expand(-1, -1, 4))

    def _second_losses(
        self, corners: torch.Tensor, logits: torch.Tensor, offsets: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        classes, shares, boxes, is_used = matched(corners, targets, background=self.classes)
        kind = functional.cross_entropy(logits.transpose(1, 2), classes, reduction="none")
        misfit = 1 - generalised_overlaps(from_offsets(offsets, corners), boxes)
        misfit = torch.where(shares >= _IS_OBJECT, misfit, 0.0)
        total = torch.where(is_used, kind + _BOX_WEIGHT * misfit, 0.0)
        return total.sum(dim=1) / _TRAINED

    def candidates(self, output: TwoStageOutput) -> Candidates:
        scores, corners = self._proposals(output.dense, self.regions)
        features = region_features(output.cells.float(), corners, self.dense.cells, by_bags=False)
        logits, offsets = self.second(features)
        chances = logits.softmax(dim=-1)[..., :-1] * scores[..., None]
        corners = clipped(from_offsets(offsets, corners), self.canvas)
        both = chances.sqrt().flatten(1)
        best, place = both.topk(min(MOST_CANDIDATES, both.shape[1]), dim=1)
        region = place.div(self.classes, rounding_mode="floor")
        chosen = corners.gather(1, region[..., None].expand(-1, -1, 4))
        return Candidates(chosen, best, place - region * self.classes)


def matched(
    corners: torch.Tensor, targets: torch.Tensor, *, background: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """What each region shows, by the box with which it overlaps most.

    Args:
        corners: `(N, R, 4)`.
        targets: `(N, M, 5)`, as in `assignment`; M may be 0.
        background: the number for regions that overlap with no box by at least a half.

    Returns:
        Classes `(N, R) int64`, overlaps `(N, R)`, boxes `(N, R, 4)`, and whether the region counts `(N, R)`:
        not if at least half of it is in an ignored region and it has no box.
    """
    targets = torch.cat([targets, targets.new_full((len(targets), 1, 5), -1.0)], dim=1)
    boxes = targets[:, None, :, 1:]
    shares = torch.where(targets[:, None, :, 0] >= 0, overlaps(corners[:, :, None], boxes), -1.0)
    most, place = shares.max(dim=2)
    is_object = most >= _IS_OBJECT
    own = targets.gather(1, place[..., None].expand(-1, -1, 5))
    covered = shared_areas(corners[:, :, None], boxes) / areas(corners)[..., None].clamp_min(1e-9)
    is_ignored = ((targets[:, None, :, 0] == IGNORED) & (covered >= _IS_OBJECT)).any(dim=2)
    classes = torch.where(is_object, own[..., 0].long(), background)
    return classes, most, own[..., 1:], is_object | ~is_ignored
