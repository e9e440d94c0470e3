"""Arithmetic of boxes as tensors: overlaps, and how networks write boxes down.

Corners are left, top, right and bottom edge in pixels of the canvas, in the last axis.
"""

from __future__ import annotations

import math

import torch

_LARGEST = math.log(1000 / 16)
"""The largest logarithm by which a box grows, so that a wild prediction stays finite (as in Detectron)."""
_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""Factors that give offsets a spread of about 1 (Ren et al. 2015; Girshick's released code)."""


def areas(corners: torch.Tensor) -> torch.Tensor:
    """Width times height, `(...)`; 0 for inverted boxes."""
    sides = (corners[..., 2:] - corners[..., :2]).clamp_min(0)
    return sides[..., 0] * sides[..., 1]


def shared_areas(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The area of the intersection of boxes whose shapes are broadcast together, `(...)`."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    sides = (high - low).clamp_min(0)
    return sides[..., 0] * sides[..., 1]


def overlaps(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Intersection over union, `(...)` in [0, 1]; 0 for boxes without area.

    >>> overlaps(torch.tensor([0.0, 0, 10, 10]), torch.tensor([5.0, 0, 15, 10]))
    tensor(0.3333)
    """
    shared = shared_areas(first, second)
    return shared / (areas(first) + areas(second) - shared).clamp_min(1e-9)


def generalised_overlaps(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Generalised intersection over union, `(...)` in [-1, 1], which also tells how far apart boxes are.

    Source: Rezatofighi et al. 2019, algorithm 1.
    """
    shared = shared_areas(first, second)
    union = (areas(first) + areas(second) - shared).clamp_min(1e-9)
    low = torch.minimum(first[..., :2], second[..., :2])
    high = torch.maximum(first[..., 2:], second[..., 2:])
    hull = areas(torch.cat([low, high], dim=-1)).clamp_min(1e-9)
    return shared / union - (hull - union) / hull


def sides_of(corners: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Distances from points `(..., 2)` to the four sides of boxes, `(..., 4)`; negative if outside.

    Source: Tian et al. 2019, equation 1.
    """
    return torch.cat([points - corners[..., :2], corners[..., 2:] - points], dim=-1)


def from_sides(sides: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """The corners of boxes whose sides have these distances from points; inverts `sides_of`."""
    return torch.cat([points - sides[..., :2], points + sides[..., 2:]], dim=-1)


def offsets_of(corners: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """How boxes differ from anchors: shift of the middle and logarithm of the growth, `(..., 4)`.

    Source: Girshick et al. 2014, appendix C.
    """
    middle, size = _middle(corners)
    start, extent = _middle(anchors)
    shift = (middle - start) / extent
    return torch.cat([shift, (size / extent).log()], dim=-1) * corners.new_tensor(_WEIGHTS)


def from_offsets(offsets: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """The corners of boxes that differ from anchors by these offsets; inverts `offsets_of`."""
    scaled = offsets / offsets.new_tensor(_WEIGHTS)
    shift, growth = scaled[..., :2], scaled[..., 2:]
    start, extent = _middle(anchors)
    middle, half = start + shift * extent, extent * growth.clamp_max(_LARGEST).exp() / 2
    return torch.cat([middle - half, middle + half], dim=-1)


def _middle(corners: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Middle, and width and height of at least a hundredth of a pixel, each `(..., 2)`."""
    low, high = corners[..., :2], corners[..., 2:]
    return (low + high) / 2, (high - low).clamp_min(0.01)


def clipped(corners: torch.Tensor, canvas: tuple[int, int]) -> torch.Tensor:
    """Boxes cut at the edges of a canvas of this width and height."""
    edges = corners.new_tensor([*canvas, *canvas])
    return torch.minimum(corners.clamp_min(0), edges)
