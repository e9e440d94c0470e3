from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou, generalized_box_iou

from regraft.detection.trained.boxes import (
    areas,
    clipped,
    from_offsets,
    from_sides,
    generalised_overlaps,
    offsets_of,
    overlaps,
    sides_of,
)


def random_boxes(count: int, seed: int) -> torch.Tensor:
    draws = np.random.default_rng(seed)
    low = draws.uniform(-20, 100, (count, 2))
    return torch.from_numpy(np.concatenate([low, low + draws.uniform(1, 80, (count, 2))], axis=1)).float()


def test_offsets_are_inverted() -> None:
    boxes, anchors = random_boxes(200, 0), random_boxes(200, 1)
    assert torch.allclose(from_offsets(offsets_of(boxes, anchors), anchors), boxes, atol=1e-3)


def test_offsets_of_a_box_from_itself_are_zero() -> None:
    boxes = random_boxes(20, 2)
    assert torch.equal(offsets_of(boxes, boxes), torch.zeros(20, 4))
    assert torch.allclose(from_offsets(torch.zeros(20, 4), boxes), boxes, atol=1e-4)


def test_sides_are_inverted() -> None:
    boxes, points = random_boxes(200, 0), torch.rand(200, 2) * 100
    assert torch.allclose(from_sides(sides_of(boxes, points), points), boxes, atol=1e-4)


def test_sides_by_hand() -> None:
    assert sides_of(torch.tensor([10.0, 20, 30, 60]), torch.tensor([14.0, 25])).tolist() == [4, 5, 16, 35]


def test_overlaps_are_torchvisions() -> None:
    one, other = random_boxes(50, 3), random_boxes(60, 4)
    assert torch.allclose(overlaps(one[:, None], other), box_iou(one, other), atol=1e-6)
    found = generalised_overlaps(one[:, None], other)
    assert torch.allclose(found, generalized_box_iou(one, other), atol=1e-5)


@pytest.mark.parametrize("box", [[5.0, 5, 5, 5], [9.0, 9, 3, 3]], ids=["a point", "inverted"])
def test_boxes_without_area_overlap_with_nothing(box: list[float]) -> None:
    one, other = torch.tensor(box), torch.tensor([0.0, 0, 10, 10])
    assert areas(one) == 0
    assert overlaps(one, other) == 0
    assert torch.isfinite(generalised_overlaps(one, other))


def test_boxes_are_clipped_to_width_and_height() -> None:
    assert clipped(torch.tensor([-5.0, 3, 200, 200]), (100, 50)).tolist() == [0, 3, 100, 50]
