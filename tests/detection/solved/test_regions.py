from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.scenes import Scene
from regraft.detection.solved.grid import proposals, suppressed
from regraft.detection.solved.regions import moved, moves_to, region_targets


def scene(corners: list[list[float]], classes: list[int], ignored: list[bool], crowd: list[bool]) -> Scene:
    return Scene(
        "0" * 64,
        "a.png",
        Placement(100, 100, 100, 100),
        np.array(corners, float).reshape(-1, 4),
        np.array(classes, np.int64),
        np.array(ignored, bool),
        np.array(crowd, bool),
    )


def test_moves_are_undone_by_moving() -> None:
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 80, (50, 2))
    boxes = np.concatenate([low, low + generator.uniform(8, 20, (50, 2))], axis=1)
    aims = boxes + generator.uniform(-2, 2, boxes.shape)
    assert moved(boxes, moves_to(boxes, aims)) == pytest.approx(aims)


def test_a_move_is_a_shift_in_sides_and_a_stretch() -> None:
    found = moves_to(np.array([[0.0, 0, 10, 20]]), np.array([[5.0, 10, 25, 20]]))
    assert found[0] == pytest.approx([1.0, 0.25, np.log(2), np.log(0.5)])


def test_moves_are_limited() -> None:
    assert moved(np.array([[40.0, 40, 50, 50]]), np.array([[9.0, 0, 0, 9]]))[0] == pytest.approx(
        [50, 45 - 5 * np.e, 60, 45 + 5 * np.e]
    )


def test_targets_are_the_overlaps_with_the_nearest_object_of_each_class() -> None:
    one = scene([[0, 0, 10, 10], [0, 0, 10, 40]], [0, 1], [False, False], [False, False])
    boxes = np.array([[0.0, 0, 10, 8], [0, 0, 10, 20], [50, 50, 60, 60]])
    targets, weights, aims, is_near = region_targets(boxes, one, 3)
    assert targets == pytest.approx(np.array([[0.8, 0, 0], [0.5, 0.5, 0], [0, 0, 0]]))
    assert weights.tolist() == [1.0, 1.0, 0.25]
    assert is_near.tolist() == [True, True, False]
    assert aims[0].tolist() == [0, 0, 10, 10]


def test_an_overlap_below_three_tenths_is_none() -> None:
    one = scene([[0, 0, 10, 10]], [0], [False], [False])
    targets, weights, _, _ = region_targets(np.array([[0.0, 0, 10, 2.9], [0, 0, 10, 3]]), one, 1)
    assert targets.ravel() == pytest.approx([0, 0.3])
    assert weights.tolist() == [0.25, 1.0]


def test_boxes_on_ignored_objects_have_no_say() -> None:
    one = scene([[0, 0, 10, 10], [20, 0, 60, 40], [70, 70, 80, 80]], [0, 0, 0],
                [True, True, False], [False, True, False])  # fmt: skip
    boxes = np.array([[0.0, 0, 10, 9], [30, 10, 35, 15], [70, 70, 80, 79], [90, 0, 99, 9]])
    _, weights, _, is_near = region_targets(boxes, one, 1)
    assert weights.tolist() == [0.0, 0.0, 1.0, 0.25]  # inside a crowd is on it
    assert is_near.tolist() == [False, False, True, False]


def test_a_background_has_targets_too() -> None:
    targets, weights, _, is_near = region_targets(np.array([[0.0, 0, 9, 9]]), scene([], [], [], []), 2)
    assert (targets.tolist(), weights.tolist(), is_near.tolist()) == ([[0, 0]], [0.25], [False])


def test_found_boxes_are_the_best_of_their_class_in_pixels_of_the_picture() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60], [80, 0, 90, 10]])
    scores = np.array([[0.5, 0.0], [0.9, 0.3], [1.4, 0.0], [0.02, 0.01]])
    found = suppressed(boxes, scores, Placement(200, 200, 100, 100))
    assert found.corners.tolist() == [[100, 100, 120, 120], [0, 0, 20, 18], [0, 0, 20, 18]]
    assert (found.classes.tolist(), found.scores.tolist()) == ([0, 0, 1], [1.0, 0.9, 0.3])


def test_proposals_are_at_most_sixty_and_never_without_an_area() -> None:
    low = np.stack(np.meshgrid(np.arange(10) * 10.0, np.arange(10) * 10.0), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([low, low + 8], axis=1)
    scores = np.linspace(0, 1, 100)[:, None]
    boxes[99, 2] = boxes[99, 0]
    found = proposals(boxes, scores)
    assert len(found) == 60
    assert found[0].tolist() == boxes[98].tolist()
