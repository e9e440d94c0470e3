"""Non-maximum suppression by class, compared with torchvision's and with a hand calculation."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import batched_nms

from regraft.detection.maps.suppression import kept

coordinates = st.integers(0, 24)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes on a coarse grid, so that equal boxes, equal scores and overlaps at the limit are frequent."""
    count = draw(st.integers(0, 12))
    rows = []
    for _ in range(count):
        left, top = draw(coordinates), draw(coordinates)
        rows.append([left, top, left + draw(st.integers(1, 12)), top + draw(st.integers(1, 12))])
    classes = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    scores = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    return (
        np.array(rows, dtype=np.float64).reshape(-1, 4),
        np.array(classes, dtype=np.int64),
        np.array(scores, dtype=np.float64) / 6,
    )


@given(drawn=boxes(), iou=st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.7, 1.0]))
@settings(max_examples=300, deadline=None)
def test_it_equals_torchvision(drawn: tuple[np.ndarray, np.ndarray, np.ndarray], iou: float) -> None:
    corners, classes, scores = drawn
    theirs = batched_nms(*(torch.from_numpy(values) for values in (corners, scores, classes)), iou)
    assert kept(corners, classes, scores, iou=iou).tolist() == theirs.tolist()


def test_it_equals_torchvision_for_a_thousand_boxes() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 400, (1000, 4))
    corners[:, 2:] = corners[:, :2] + generator.uniform(5, 80, (1000, 2))
    classes, scores = generator.integers(0, 5, 1000), generator.uniform(0, 1, 1000)
    theirs = batched_nms(*(torch.from_numpy(values) for values in (corners, scores, classes)), 0.5)
    ours = kept(corners, classes, scores, iou=0.5)
    assert 500 < len(ours) < 1000
    assert ours.tolist() == theirs.tolist()


SQUARE, HALF = [0.0, 0, 10, 10], [0.0, 0, 10, 5]


@pytest.mark.parametrize(("iou", "expected"), [(0.5, [1, 0]), (0.49, [1])])
def test_an_overlap_of_exactly_the_limit_is_allowed(iou: float, expected: list[int]) -> None:
    corners = np.array([SQUARE, HALF])
    assert kept(corners, np.zeros(2, int), np.array([0.1, 0.9]), iou=iou).tolist() == expected


def test_of_equal_scores_the_first_is_kept() -> None:
    corners = np.array([SQUARE, SQUARE, SQUARE])
    assert kept(corners, np.array([0, 0, 1]), np.full(3, 0.5), iou=0.5).tolist() == [0, 2]


def test_a_box_that_has_vanished_suppresses_nothing() -> None:
    row = np.array([[0.0, 0, 10, 10], [4.0, 0, 14, 10], [8.0, 0, 18, 10]])
    assert kept(row, np.zeros(3, int), np.array([0.9, 0.8, 0.7]), iou=0.3).tolist() == [0, 2]


def test_only_the_most_certain_are_kept_where_there_is_a_limit() -> None:
    corners = np.array([[0.0, 0, 9, 9], [20.0, 0, 29, 9], [40.0, 0, 49, 9]])
    assert kept(corners, np.arange(3), np.array([0.1, 0.9, 0.5]), iou=0.5, most=2).tolist() == [1, 2]


@pytest.mark.children
def test_results_need_no_torch() -> None:
    names = [
        "maps.suppression",
        *(f"results.{name}" for name in ("writing", "drawings", "counting", "tiles", "crops")),
    ]
    imports = "; ".join(f"import regraft.detection.{name}" for name in names)
    code = f"import sys; {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
