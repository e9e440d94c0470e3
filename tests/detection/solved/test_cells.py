from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.solved.cells import (
    base_level,
    boxes_from,
    cell_centres,
    cell_rows,
    cell_targets,
    cell_width,
    sampled,
)
from regraft.records import MapLevel


def level(stride: int, channels: int = 1) -> MapLevel:
    """A map of a canvas of 64 x 64 pixels."""
    side = 64 // stride
    return MapLevel(
        stage=f"stride {stride}", stride=stride, channels=channels, height=side, width=side, start=0,
        stop=side * side * channels,
    )  # fmt: skip


BASE = level(16)  # 4 x 4 cells, whose centres are at 8, 24, 40 and 56
NONE = np.zeros(0, bool)


@pytest.mark.parametrize(
    ("strides", "expected"), [((8, 16, 32), 16), ((8,), 8), ((32,), 32), ((8, 32), 8)], ids=str
)
def test_the_grid_is_that_of_stride_16_or_the_nearest(strides: tuple[int, ...], expected: int) -> None:
    assert base_level([level(stride) for stride in strides]).stride == expected


def test_the_cell_in_the_middle_of_an_object_says_where_its_edges_are() -> None:
    targets = cell_targets(np.array([[10.0, 6, 30, 46]]), np.array([1]), np.array([False]), 2, BASE)
    # the middle is (20, 26); within 3 and 6 pixels lies no centre, so the nearest, (24, 24), says it
    assert np.flatnonzero(targets.is_middle).tolist() == [5]
    assert np.exp(targets.sides[5]) * 16 == pytest.approx([14, 18, 6, 22])
    central = np.sqrt(6 / 14 * 18 / 22)
    assert targets.classes[5] == pytest.approx([0, central])
    assert targets.weights.tolist() == pytest.approx([0.1] * 5 + [1.0] + [0.1] * 10)
    assert targets.classes.sum() == pytest.approx(central)


def test_all_cells_in_the_middle_of_a_large_object_are_its_own() -> None:
    targets = cell_targets(np.array([[0.0, 0, 64, 64]]), np.array([0]), np.array([False]), 1, BASE)
    assert np.flatnonzero(targets.is_middle).tolist() == [5, 6, 9, 10]  # within 9.6 pixels of (32, 32)
    assert targets.classes[[5, 6, 9, 10], 0] == pytest.approx([24 / 40] * 4)


def test_a_smaller_object_takes_the_cell_of_a_larger_one() -> None:
    corners = np.array([[20.0, 20, 28, 28], [0, 0, 64, 64]])
    targets = cell_targets(corners, np.array([1, 0]), np.array([False, False]), 2, BASE)
    assert targets.classes[5] == pytest.approx([0, 1])
    assert np.exp(targets.sides[5]) * 16 == pytest.approx([4, 4, 4, 4])
    assert targets.classes[6] == pytest.approx([24 / 40, 0])


def test_cells_in_ignored_boxes_have_no_say_unless_an_object_is_there() -> None:
    corners = np.array([[0.0, 0, 32, 64], [20, 20, 28, 28]])
    targets = cell_targets(corners, np.array([0, 0]), np.array([True, False]), 1, BASE)
    weights = targets.weights.reshape(4, 4)
    assert weights[:, 2:] == pytest.approx(np.full((4, 2), 0.1))
    assert weights[1, 1] == 1.0
    assert weights[:, :2].sum() == 1.0


def test_no_objects_are_background() -> None:
    targets = cell_targets(np.zeros((0, 4)), np.zeros(0, np.int64), NONE, 3, BASE)
    assert not targets.is_middle.any()
    assert targets.weights == pytest.approx(np.full(16, 0.1))
    assert targets.classes.shape == (16, 3)


def test_boxes_from_sides_are_the_objects() -> None:
    corners = np.array([[10.0, 6, 30, 46], [36, 36, 60, 60]])
    targets = cell_targets(corners, np.array([0, 0]), np.array([False, False]), 1, BASE)
    found = boxes_from(targets.sides, BASE)[targets.is_middle]
    assert found == pytest.approx(corners, abs=1e-4)


def test_boxes_stay_on_the_canvas_whatever_is_said() -> None:
    found = boxes_from(np.full((16, 4), 99.0), BASE)
    assert found.tolist() == [[0, 0, 64, 64]] * 16


def test_a_cell_sees_all_levels_at_its_place_and_its_neighbours() -> None:
    levels = [level(8), BASE, level(32)]
    fine, own = np.arange(64.0).reshape(1, 8, 8, 1), np.arange(16.0).reshape(1, 4, 4, 1)
    coarse = np.array([0.0, 8, 16, 24]).reshape(1, 2, 2, 1)
    rows = cell_rows([fine, own, coarse], levels)
    assert rows.shape == (1, 4, 4, cell_width([1, 1, 1], levels)) == (1, 4, 4, 7)
    # row 1, column 1: mean of fine cells 18, 19, 26, 27; cell 5 between 4, 6, 1 and 9
    assert rows[0, 1, 1].tolist() == [22.5, 5.0, 0.25 * 8 + 0.25 * 16, 4.0, 6.0, 1.0, 9.0]
    assert rows[0, 0, 0].tolist() == [4.5, 0.0, 0.0, 0.0, 1.0, 0.0, 4.0]  # the edge repeats itself


def test_centres_are_row_by_row() -> None:
    assert cell_centres(BASE)[[0, 1, 4]].tolist() == [[8, 8], [24, 8], [8, 24]]


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_sampled_background_weighs_as_much_as_all_of_it(step: int) -> None:
    ignored = np.array([False, True])
    targets = cell_targets(np.array([[20.0, 20, 44, 44], [0, 0, 9, 9]]), np.array([0, 0]), ignored, 1, BASE)
    weights, background = sampled(targets, BASE, step), ~targets.is_middle
    assert np.array_equal(weights[targets.is_middle], np.ones(targets.is_middle.sum()))
    assert weights[background].sum() == pytest.approx(targets.weights[background].sum())
    used = np.count_nonzero(weights[background])
    assert used == sum((row + column) % step == 0 for row in range(4) for column in range(4)
                       if background[4 * row + column] and (row, column) != (0, 0))  # fmt: skip
