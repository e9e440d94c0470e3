from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.maps.projection import Projection
from regraft.lab.regions.arms import crop_rows, warp
from regraft.records import MapLevel

LEVELS = (
    MapLevel(stage="a", stride=16, channels=2, height=4, width=4, start=0, stop=32),
    MapLevel(stage="b", stride=32, channels=1, height=2, width=2, start=32, stop=36),
)


def test_a_region_is_warped_with_its_surroundings_whatever_its_shape() -> None:
    pixels = np.zeros((100, 200, 3), dtype=np.uint8)
    pixels[20:40, 50:150] = 255
    wide, corner = warp(pixels, np.array([[50.0, 20, 150, 40], [0, 0, 50, 20]]), 64)
    assert wide.shape == corner.shape == (64, 64, 3)
    # 16 of 227 pixels at each side show the surroundings: 4.5 of 64
    bright = (wide[..., 0] > 127).mean()
    assert bright == pytest.approx((195 / 227) ** 2, abs=0.03)
    assert wide[0, 0, 0] == 0
    assert wide[32, 32, 0] == 255


def test_rows_of_a_crop_are_means_of_bins() -> None:
    generator = np.random.default_rng(0)
    maps = generator.normal(size=(3, 36)).astype(np.float16)
    axes = (np.array([[1.0, 2.0], [0.5, -1.0]], np.float32), np.array([[3.0]], np.float32))
    means = (np.array([0.1, 0.2], np.float32), np.array([0.3], np.float32))
    boxes = np.array([[0.0, 0, 32, 8], [5, 5, 21, 21], [0, 0, 4, 4]])
    rows = crop_rows(maps, boxes, Projection(LEVELS, means, axes), LEVELS)
    assert rows.dtype == np.float32
    cells = maps[1, :32].astype(float).reshape(4, 4, 2)
    expected = [
        (cells[y : y + 2, x : x + 2].mean(axis=(0, 1)) - means[0]) @ axes[0] for y in (0, 2) for x in (0, 2)
    ]
    last = (maps[1, 32:].astype(float).mean() - 0.3) * 3
    assert rows[1] == pytest.approx([*np.concatenate(expected), last, *np.log([16, 16]), 0.0], abs=1e-4)
    assert rows[0, -3:] == pytest.approx([np.log(32), np.log(8), np.log(4)])
