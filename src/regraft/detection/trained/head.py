"""What both kinds of detector have in common: the contract of a head, and the boxes that it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torchvision.ops import nms

from regraft.detection.trained.boxes import overlaps

LEAST_SCORE = 0.01
"""Boxes with a smaller score are not reported."""
MOST_BOXES = 100
"""The number of boxes of a class that are reported for a picture at most."""
_SUPPRESSED_FROM = 0.6


class Candidates(NamedTuple):
    """T boxes for each picture, in any order, from which overlapping ones are to be removed."""

    corners: torch.Tensor
    """`(N, T, 4) float32`, in pixels of the canvas and inside it."""
    scores: torch.Tensor
    """`(N, T) float32`, in [0, 1]."""
    classes: torch.Tensor
    """`(N, T) int64`."""


class Seen(NamedTuple):
    """The n boxes that are found in one picture, the largest score first."""

    corners: npt.NDArray[np.float32]
    """`(n, 4)`, in pixels of the canvas."""
    classes: npt.NDArray[np.int64]
    """`(n,)`."""
    scores: npt.NDArray[np.float32]
    """`(n,)`, in [0, 1]."""


class DetectionHead(nn.Module, ABC):
    """From rows of maps to boxes.

    `forward` computes what training and detection share; its output is a named tuple that only the head
    itself understands. Neither it nor `candidates` depends on values in its control flow or its shapes, so
    both become one graph.
    """

    canvas: tuple[int, int]
    """Width and height of the canvas in pixels."""
    classes: int

    @abstractmethod
    def forward(self, rows: torch.Tensor) -> Any:
        """The output for rows of maps `(N, F) float16 or float32`."""

    @abstractmethod
    def losses(self, output: Any, targets: torch.Tensor) -> torch.Tensor:
        """The loss of each picture, `(N,)`; it does not depend on the other pictures.

        Args:
            output: what `forward` returned.
            targets: `(N, M, 5) float32`, as in `assignment`.
        """

    @abstractmethod
    def candidates(self, output: Any) -> Candidates:
        """The boxes among which the most probable ones are."""

    def found(self, output: Any) -> list[Seen]:
        """The boxes in each picture, from the output of `forward`."""
        best = self.candidates(output)
        return [
            _seen(*one, longest=max(self.canvas))
            for one in zip(best.corners, best.scores, best.classes, strict=True)
        ]

    @torch.inference_mode()
    def detect(self, rows: torch.Tensor) -> list[Seen]:
        """The boxes in each picture, at most 100 a class, with scores from 0.01 on."""
        return self.found(self(rows))


def _seen(corners: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor, *, longest: int) -> Seen:
    is_likely = scores >= LEAST_SCORE
    corners, scores, classes = corners[is_likely], scores[is_likely], classes[is_likely]
    kept = remaining(corners, scores, classes, longest=longest)
    return Seen(corners[kept].cpu().numpy(), classes[kept].cpu().numpy(), scores[kept].cpu().numpy())


def remaining(
    corners: torch.Tensor, scores: torch.Tensor, classes: torch.Tensor, *, longest: int
) -> torch.Tensor:
    """Numbers of the boxes that remain after suppression within each class, the largest score first.

    Args:
        corners: `(T, 4)`, inside the canvas.
        scores: `(T,)`.
        classes: `(T,) int64`.
        longest: the longer side of the canvas; boxes of different classes are moved that far apart.
    """
    apart = corners + (classes * (longest + 1.0))[:, None]
    kept = nms(apart, scores, _SUPPRESSED_FROM)
    is_same = classes[kept][:, None] == classes[kept]
    rank = (is_same & torch.ones_like(is_same).tril(-1)).sum(dim=1)
    best: torch.Tensor = kept[rank < MOST_BOXES]
    return best


def distinct(corners: torch.Tensor, *, limit: float) -> torch.Tensor:
    """Whether each box overlaps with none before it by more than the limit, `(N, T) bool`.

    Unlike in exact suppression, a box that is suppressed itself suppresses others too, so that all are
    compared at once.

    Args:
        corners: `(N, T, 4)`, the largest score first.
        limit: intersection over union.

    Source: Bolya et al. 2019, "YOLACT", section 4.2.
    """
    shares = overlaps(corners[:, :, None], corners[:, None])
    return shares.triu(1).amax(dim=1) <= limit
