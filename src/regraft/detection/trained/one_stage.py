"""A light one-stage detector: every cell says which class is there, and how far its four sides are.

Source: Tian et al. 2019, "FCOS: fully convolutional one-stage object detection". Instead of a branch for
centre-ness, the probability of a class is trained to equal the overlap of the predicted box with the true one
(Li et al. 2020, "Generalized focal loss", equation 2), so that scores rank boxes by how well they fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from regraft.detection.trained.assignment import assign
from regraft.detection.trained.boxes import clipped, from_sides, generalised_overlaps, overlaps
from regraft.detection.trained.cells import Cells, Shape, shapes_of
from regraft.detection.trained.head import Candidates, DetectionHead
from regraft.detection.trained.levels import Levels, Spread
from regraft.detection.trained.neck import Neck, Pointwise, Separable
from regraft.records import MapLevel

_PRIOR = 0.01  # probability of each class before training (Lin et al. 2017, "Focal loss", section 4.1)
_START = 3.0  # distance of a side before training, in strides
_LARGEST = 6.0  # logarithm of the largest distance in strides
_BOX_WEIGHT = 2.0
_PAIRS = 8.0  # cells that answer for a box, as a rule
_CANDIDATES = 400  # cells of each class among which overlapping boxes are searched


class Dense(NamedTuple):
    """What the L cells say about each of N pictures."""

    classes: torch.Tensor
    """`(N, L, K) float32`, logits."""
    corners: torch.Tensor
    """`(N, L, 4) float32`, in pixels of the canvas."""


class DenseHead(nn.Module):
    """From maps of all levels to classes and boxes of their cells; the weights are shared by all levels.

    Args:
        shapes: the shapes of the levels.
        width: channels of the maps.
        classes: the number of classes K.
        objects: mean number of boxes in a picture of the training set, by which losses are divided, so that
            each box counts the same.
    """

    def __init__(self, shapes: Sequence[Shape], *, width: int, classes: int, objects: float) -> None:
        super().__init__()
        self.cells = Cells(shapes)
        self.classes, self.objects = classes, max(1.0, objects)
        self.tower = nn.Sequential(Separable(width), Separable(width))
        self.says = Pointwise(width, classes + 4, bias=True)
        self.scales = nn.Parameter(torch.zeros(len(shapes)))
        nn.init.normal_(self.says.weight, std=0.01)
        assert self.says.bias is not None
        with torch.no_grad():
            self.says.bias[:classes] = -math.log((1 - _PRIOR) / _PRIOR)
            self.says.bias[classes:] = math.log(_START)

    def forward(self, maps: Sequence[torch.Tensor]) -> Dense:
        said = self.cells.together([self.says(self.tower(one)) for one in maps])
        said = said.float()
        classes, sides = said[..., : self.classes], said[..., self.classes :]
        lengths = (sides + self.scales[self.cells.levels, None]).clamp_max(_LARGEST).exp()
        lengths = lengths * self.cells.strides[:, None]
        return Dense(classes, from_sides(lengths, self.cells.centres))

    def losses(self, output: Dense, targets: torch.Tensor) -> torch.Tensor:
        """The loss of each picture, `(N,)`: quality focal loss of classes, overlap loss of boxes."""
        pairs = assign(targets, self.cells)
        predicted = output.corners.gather(1, pairs.cells[..., None].expand(-1, -1, 4))
        with torch.no_grad():
            quality = torch.where(pairs.is_pair, overlaps(predicted, pairs.corners), 0.0)
            aims = self._aims(pairs.cells, pairs.classes, quality, pairs.is_pair)
        focal = quality_focal(output.classes, aims).sum(dim=-1)
        focal = torch.where(pairs.is_used, focal, 0.0).sum(dim=1)
        misfit = torch.where(pairs.is_pair, 1 - generalised_overlaps(predicted, pairs.corners), 0.0)
        return (focal + _BOX_WEIGHT * misfit.sum(dim=1)) / (_PAIRS * self.objects)

    def _aims(
        self, cells: torch.Tensor, classes: torch.Tensor, quality: torch.Tensor, is_pair: torch.Tensor
    ) -> torch.Tensor:
        """What the probabilities are compared with, `(N, L, K)`: the quality of each pair, elsewhere 0."""
        size = self.cells.count * self.classes
        place = torch.where(is_pair, cells * self.classes + classes, size)
        aims = quality.new_zeros(len(cells), size + 1).scatter_(1, place, quality)
        return aims[:, :-1].reshape(len(cells), self.cells.count, self.classes)


def quality_focal(logits: torch.Tensor, aims: torch.Tensor) -> torch.Tensor:
    """Quality focal loss of each probability, in nats: cross-entropy times the squared error.

    Source: Li et al. 2020, "Generalized focal loss", equation 2, with beta = 2.
    """
    errors = (logits.sigmoid() - aims).square()
    return functional.binary_cross_entropy_with_logits(logits, aims, reduction="none") * errors


class OneStage(DetectionHead):
    """The whole one-stage detector behind cached maps.

    Args:
        levels: where each level is in a row of maps.
        canvas: width and height of the canvas in pixels.
        classes: the number of classes K.
        width: channels of the neck and the head.
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
        objects: float = 1.0,
        spread: Sequence[Spread] | None = None,
    ) -> None:
        super().__init__()
        self.canvas, self.classes = canvas, classes
        shapes = shapes_of(levels)
        self.levels = Levels(levels, spread)
        self.neck = Neck([level.channels for level in levels], shapes, width)
        self.dense = DenseHead(shapes, width=width, classes=classes, objects=objects)

    def forward(self, rows: torch.Tensor) -> Dense:
        output: Dense = self.dense(self.neck(self.levels(rows)))
        return output

    def losses(self, output: Dense, targets: torch.Tensor) -> torch.Tensor:
        return self.dense.losses(output, targets)

    def candidates(self, output: Dense) -> Candidates:
        scores = output.classes.sigmoid().transpose(1, 2)
        best, cells = scores.topk(min(_CANDIDATES, scores.shape[2]), dim=2)
        kinds = torch.arange(self.classes, device=cells.device)[:, None].expand_as(cells)
        corners = output.corners.gather(1, cells.flatten(1)[..., None].expand(-1, -1, 4))
        return Candidates(clipped(corners, self.canvas), best.flatten(1), kinds.flatten(1))
