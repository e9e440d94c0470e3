from __future__ import annotations

import numpy as np
import pytest
import torch

from regraft.detection.graph.way_back import WayBack, is_real
from regraft.detection.maps.canvas import Placement

CANVAS = (96, 64)
SIZES = [(1, 1), (1, 4000), (50, 2000), (2000, 50), (96, 64), (97, 65), (30, 20), (4001, 3001), (255, 171)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_way_back_is_that_of_the_placement(size: tuple[int, int]) -> None:
    placement, way_back = Placement(*size, *CANVAS), WayBack(CANVAS)
    boxes = np.random.default_rng(0).uniform(-5, 101, (40, 4))
    picture = torch.tensor(size, dtype=torch.float32)
    assert tuple(way_back.covered(picture).tolist()) == placement.covered
    found = way_back(torch.from_numpy(boxes), picture)
    assert found.numpy() == pytest.approx(placement.back(boxes), abs=1e-9)


def test_boxes_of_less_than_a_pixel_are_not_real() -> None:
    boxes = torch.tensor([[0.0, 0, 1, 1], [0, 0, 0.9, 5], [0, 0, 5, 0.9]])
    assert is_real(boxes).tolist() == [True, False, False]
