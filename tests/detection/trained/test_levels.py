from __future__ import annotations

import numpy as np
import pytest
import torch

from regraft.detection.trained.levels import Levels, spreads
from regraft.records import MapLevel
from tests.detection.trained.examples import levels_of


def maps_of(count: int, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    rows = draws.normal(size=(count, levels_of()[-1].stop))
    return (rows * 3 + 5).astype(np.float16)


@pytest.mark.parametrize("strides", [(8, 16, 32), (8, 16), (16,)], ids=str)
def test_maps_are_what_was_written_channels_last(strides: tuple[int, ...]) -> None:
    levels = levels_of(strides)
    row = np.arange(2 * levels[-1].stop, dtype=np.float32).reshape(2, -1)
    maps = Levels(levels)(torch.from_numpy(row))
    for level, one in zip(levels, maps, strict=True):
        assert one.shape == (2, level.channels, level.height, level.width)
        assert one.is_contiguous(memory_format=torch.channels_last)
        place = level.start + (1 * level.width + 2) * level.channels + 5
        assert one[1, 5, 1, 2] == row[1, place]


def test_channels_have_mean_zero_and_deviation_one() -> None:
    rows, levels = maps_of(4), levels_of()
    for one in Levels(levels, spreads(rows, levels))(torch.from_numpy(rows)):
        assert torch.allclose(one.mean(dim=(0, 2, 3)), torch.zeros(48), atol=1e-4)
        assert torch.allclose(one.std(dim=(0, 2, 3), correction=0), torch.ones(48), atol=1e-4)


def test_half_and_single_precision_give_the_same_maps() -> None:
    rows, levels = maps_of(2), levels_of()
    module = Levels(levels, spreads(rows, levels))
    for half, single in zip(
        module(torch.from_numpy(rows)), module(torch.from_numpy(rows).float()), strict=True
    ):
        assert torch.equal(half, single)


def test_a_constant_channel_stays_finite() -> None:
    level = MapLevel(stage="s", stride=8, channels=2, height=1, width=2, start=0, stop=4)
    rows = np.array([[7, 1, 7, 3]], np.float16)
    (one,) = Levels([level], spreads(rows, [level]))(torch.from_numpy(rows))
    assert one[0, 0].tolist() == [[0.0, 0.0]]
    assert one[0, 1].tolist() == [[-1.0, 1.0]]
