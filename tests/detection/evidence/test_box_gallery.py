from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regraft.detection.detectors.run_tables import BoxRow
from regraft.detection.evidence.box_gallery import BoxGallery
from regraft.detection.evidence.descriptors import box_rows
from regraft.records import MapLevel

LEVELS = (
    MapLevel(stage="a", stride=8, start=0, stop=2 * 48, height=6, width=8, channels=2),
    MapLevel(stage="b", stride=16, start=96, stop=96 + 3 * 12, height=3, width=4, channels=3),
)


def test_a_row_is_the_mean_of_the_map_inside_the_box() -> None:
    """On maps that change evenly, the mean over a box is the value at its centre."""
    row = np.zeros(LEVELS[-1].stop, np.float16)
    fine = row[:96].reshape(6, 8, 2)
    fine[..., 0] = np.arange(8) + 0.5  # the x of a cell's centre, in cells
    fine[..., 1] = np.arange(6)[:, None] + 0.5
    row[96:] = np.tile([1, 2, 3], 12)
    found = box_rows(row, LEVELS, np.array([[8.0, 8, 40, 24], [16, 16, 32, 40]]))
    assert found == pytest.approx(np.array([[3, 2, 1, 2, 3], [3, 3.5, 1, 2, 3]]), abs=1e-3)


def boxes(*labels: str) -> list[BoxRow]:
    return [BoxRow(f"{number}.png", "train", label, 0, 0, 8, 8) for number, label in enumerate(labels)]


def gallery_of(rows: np.ndarray, *labels: str) -> BoxGallery:
    return BoxGallery.of(LEVELS, boxes(*labels), [str(number) for number in range(len(rows))], rows)


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def canvas_row(values: np.ndarray) -> np.ndarray:
    """A picture whose maps are the same everywhere."""
    parts = [np.tile(values[:2], 48), np.tile(values[2:], 12)]
    return np.concatenate(parts).astype(np.float16)


def test_the_same_box_is_the_most_similar(rows: np.ndarray) -> None:
    gallery = gallery_of(rows, *"abcabc")
    for number, values in enumerate(rows):
        first, second = gallery.nearest(canvas_row(values), np.array([8.0, 8, 40, 24]), count=2)
        assert first.box.path == f"{number}.png"
        assert first.similarity == pytest.approx(1, abs=1e-3)
        assert second.similarity <= first.similarity


def test_similarity_is_the_cosine_of_standardised_rows_with_levels_of_equal_weight(rows: np.ndarray) -> None:
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0) / np.sqrt([2, 2, 3, 3, 3])
    units = standard / np.linalg.norm(standard, axis=1, keepdims=True)
    near = gallery_of(rows, *"abcabc").nearest(canvas_row(rows[2]), np.array([0.0, 0, 16, 16]), count=6)
    expected = np.sort(units @ units[2])[::-1]
    assert [one.similarity for one in near] == pytest.approx(expected.tolist(), abs=2e-3)


def test_the_picture_itself_and_a_class_can_be_left_out(rows: np.ndarray) -> None:
    gallery = gallery_of(rows, *"abcabc")
    near = gallery.nearest(canvas_row(rows[2]), np.array([0.0, 0, 16, 16]), count=9, besides="2", not_of="a")
    assert sorted(one.box.path for one in near) == ["1.png", "4.png", "5.png"]


@pytest.mark.parametrize("count", [0, 1])
def test_a_gallery_of_few_boxes_is_no_error(rows: np.ndarray, count: int) -> None:
    gallery = gallery_of(rows[:count], *"abcabc"[:count])
    near = gallery.nearest(canvas_row(rows[2]), np.array([0.0, 0, 16, 16]), count=3)
    assert len(near) == count
    assert all(np.isfinite(one.similarity) for one in near)
    assert replace(gallery, remark="x").remark == "x"
