"""Regions of maps as features of one size, whatever the size of the region."""

from __future__ import annotations

import torch
from torch.nn import functional

from regraft.detection.trained.cells import Cells

BINS = 7
"""The number of bins across and down a region."""
_REGION_REACH = 14.0
"""The longest side of a region on a level, in strides: with 7 bins, a bin has one to two cells."""


def region_levels(corners: torch.Tensor, strides: torch.Tensor) -> torch.Tensor:
    """The level on which each region is read, `(...) int64`: by the square root of its area."""
    sides = (corners[..., 2:] - corners[..., :2]).clamp_min(0)
    return torch.bucketize((sides[..., 0] * sides[..., 1]).sqrt(), _REGION_REACH * strides[:-1])


def region_features(
    cells: torch.Tensor, corners: torch.Tensor, places: Cells, *, by_bags: bool
) -> torch.Tensor:
    """Features of regions: the map in the middle of each of 7 x 7 bins, interpolated bilinearly.

    This is RoIAlign with one sample in a bin. All levels are one table of cells, and a feature is a weighted
    sum of four rows of it, so that regions of all levels and pictures are read at once. As an embedding bag,
    its backward pass runs on all threads; that of torchvision's `roi_align` runs on one.

    Args:
        cells: `(N, L, C)`, the maps of all levels.
        corners: `(N, R, 4)`, regions in pixels, inside the canvas.
        places: the cells.
        by_bags: whether to compute by an embedding bag, which is faster in training, or by operations that
            every runtime knows.

    Returns:
        `(N, R, 49 C)`, bin by bin.

    Source: He et al. 2017, "Mask R-CNN", section 3.
    """
    number, count, width = cells.shape
    index, weight = _corners_of_bins(corners, places)
    table = cells.reshape(-1, width)
    index = index + torch.arange(number, device=cells.device)[:, None, None, None] * count
    if by_bags:
        found = functional.embedding_bag(
            index.reshape(-1, 4), table, per_sample_weights=weight.reshape(-1, 4), mode="sum"
        )
    else:
        found = (table[index] * weight[..., None]).sum(dim=-2)
    return found.reshape(number, corners.shape[1], BINS * BINS * width)


def _corners_of_bins(corners: torch.Tensor, places: Cells) -> tuple[torch.Tensor, torch.Tensor]:
    """The four cells around the middle of each bin, and their weights, both `(N, R, 49, 4)`."""
    level = region_levels(corners, places.level_strides)
    stride, size, start = places.level_strides[level], places.level_sizes[level], places.level_starts[level]
    share = (torch.arange(BINS, device=corners.device) + 0.5) / BINS
    low, sides = corners[..., None, :2], (corners[..., 2:] - corners[..., :2])[..., None, :]
    point = (low + sides * share[:, None]) / stride[..., None, None] - 0.5  # (N, R, 7, 2)
    last = (size - 1)[..., None, :]
    point = torch.minimum(point.clamp_min(0), last.to(point.dtype))
    first = torch.minimum(point.floor().long(), (last - 1).clamp_min(0))
    part = point - first
    place = torch.stack([first, torch.minimum(first + 1, last)], dim=-1)  # (N, R, 7, 2 axes, 2 cells)
    near = torch.stack([1 - part, part], dim=-1)
    x, y, x_share, y_share = place[..., 0, :], place[..., 1, :], near[..., 0, :], near[..., 1, :]
    width = size[..., 0, None, None, None, None]
    # rows of bins, columns of bins, upper or lower cell, left or right cell
    index = start[..., None, None, None, None] + y[..., :, None, :, None] * width + x[..., None, :, None, :]
    weight = y_share[..., :, None, :, None] * x_share[..., None, :, None, :]
    shape = (*corners.shape[:2], BINS * BINS, 4)
    return index.reshape(shape), weight.reshape(shape)
