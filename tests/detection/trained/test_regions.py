from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import roi_align

from regraft.detection.trained.cells import Cells, shapes_of
from regraft.detection.trained.regions import region_features, region_levels
from tests.detection.trained.examples import levels_of

CELLS = Cells(shapes_of(levels_of((8, 16, 32))))


def maps_and_regions() -> tuple[list[torch.Tensor], torch.Tensor]:
    draws = np.random.default_rng(0)
    maps = [
        torch.from_numpy(draws.normal(size=(2, 8, shape.height, shape.width))).float()
        for shape in CELLS.shapes
    ]
    first, second = draws.uniform(0, 1, (2, 2, 30, 2)) * (128, 96)
    corners = np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=2)
    corners[0, 0] = 0, 0, 128, 96
    return maps, torch.from_numpy(corners).float()


def aligned(maps: list[torch.Tensor], corners: torch.Tensor) -> torch.Tensor:
    """The same by torchvision, level by level: `(N, R, 49, C)`."""
    level = region_levels(corners, CELLS.level_strides)
    found = torch.zeros(*corners.shape[:2], 49, maps[0].shape[1])
    for number, (one, shape) in enumerate(zip(maps, CELLS.shapes, strict=True)):
        each = roi_align(
            one, list(corners), 7, spatial_scale=1 / shape.stride, sampling_ratio=1, aligned=True
        )
        each = each.flatten(2).transpose(1, 2).reshape(found.shape)
        found = torch.where((level == number)[..., None, None], each, found)
    return found


@pytest.mark.parametrize("by_bags", [True, False])
def test_features_are_those_of_roi_align(by_bags: bool) -> None:
    maps, corners = maps_and_regions()
    found = region_features(CELLS.together(maps), corners, CELLS, by_bags=by_bags)
    assert torch.allclose(found.reshape(2, 30, 49, 8), aligned(maps, corners), atol=1e-5)


@pytest.mark.parametrize("by_bags", [True, False])
def test_gradients_are_those_of_roi_align(by_bags: bool) -> None:
    maps, corners = maps_and_regions()
    for one in maps:
        one.requires_grad_(True)
    factors = torch.randn(2, 30, 49, 8)
    expected = torch.autograd.grad((aligned(maps, corners) * factors).sum(), maps, allow_unused=True)
    features = region_features(CELLS.together(maps), corners, CELLS, by_bags=by_bags)
    found = torch.autograd.grad((features.reshape(factors.shape) * factors).sum(), maps)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, torch.zeros_like(one) if other is None else other, atol=1e-4)


def test_larger_regions_are_read_from_coarser_levels() -> None:
    boxes = torch.tensor([[0.0, 0, side, side] for side in (10, 112, 113, 224, 225, 449)])
    assert region_levels(boxes, CELLS.level_strides).tolist() == [0, 0, 1, 1, 2, 3]
