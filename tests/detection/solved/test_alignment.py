from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import roi_align

from regraft.detection.solved.alignment import aligned, region_rows
from regraft.records import MapLevel


@pytest.mark.parametrize("bins", [1, 2, 3])
def test_rows_are_torchvisions_roi_align_with_one_sample_a_bin(bins: int) -> None:
    generator = np.random.default_rng(bins)
    values = generator.normal(size=(9, 13, 4)).astype(np.float32)
    low = generator.uniform(0, 1, (50, 2)) * [10, 6]
    corners = np.concatenate([low, low + generator.uniform(0.2, 1, (50, 2)) * ([13, 9] - low)], axis=1)
    numbered = np.concatenate([np.zeros((50, 1)), corners], axis=1).astype(np.float32)
    image = torch.from_numpy(values).permute(2, 0, 1)[None]
    expected = roi_align(image, torch.from_numpy(numbered), bins, sampling_ratio=1, aligned=True)
    found = aligned(values, corners, bins)
    assert found == pytest.approx(expected.permute(0, 2, 3, 1).flatten(1).numpy(), abs=1e-5)


def test_a_row_shows_all_levels_and_the_boxs_shape() -> None:
    levels = [
        MapLevel(stage="a", stride=16, channels=2, height=4, width=6, start=0, stop=48),
        MapLevel(stage="b", stride=32, channels=1, height=2, width=3, start=48, stop=54),
    ]
    maps = [np.full((4, 6, 2), 5.0, np.float32), np.full((2, 3, 1), 7.0, np.float32)]
    rows = region_rows(maps, levels, np.array([[0.0, 0, 32, 8]]))
    assert rows.dtype == np.float32
    assert rows[0, :9].tolist() == [5.0] * 8 + [7.0]  # 2 x 2 bins of 2 channels, then one bin of one
    assert rows[0, 9:] == pytest.approx([np.log(32), np.log(8), np.log(4)])


def test_no_boxes_give_no_rows() -> None:
    level = MapLevel(stage="a", stride=8, channels=2, height=4, width=6, start=0, stop=48)
    assert region_rows([np.zeros((4, 6, 2), np.float32)], [level], np.zeros((0, 4))).shape == (0, 21)
