from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.scenes import Scene
from regraft.lab.regions.heads import Heads, fit_heads

NONE = np.zeros(1, dtype=bool)
RIGHT, DOWN = np.array([1.0, 0, 1, 0]), np.array([0.0, 1, 0, 1])


def scene(number: int) -> Scene:
    """A picture with one object of 40 x 40 pixels; classes take turns."""
    place = Placement(200, 100, 100, 50)
    return Scene(
        str(number),
        "",
        place,
        np.array([[40.0, 20, 80, 60]]),
        np.array([number % 2]),
        NONE,
        NONE,
        fold=number % 3,
    )


def regions(one: Scene) -> tuple[np.ndarray, np.ndarray]:
    """On and off the object, and rows that say how far a region is from it, and what it is."""
    truth = one.on_canvas[0]
    boxes = np.array([truth, truth + 4 * RIGHT, truth - 4 * DOWN, [60.0, 10, 80, 30], [0, 0, 12, 50]])
    shift = (truth[:2] - boxes[:, :2]) / 20
    hit = np.array([1.0, 0.67, 0.67, 0.0, 0.0])
    kind = np.stack([hit * (one.classes[0] == 0), hit * (one.classes[0] == 1)], axis=1)
    return np.concatenate([kind, shift], axis=1).astype(np.float32), boxes


def test_heads_find_the_object_and_move_regions_onto_it() -> None:
    scenes = [scene(number) for number in range(6)]
    rows, boxes = zip(*(regions(one) for one in scenes), strict=True)
    heads = fit_heads(rows, boxes, scenes, 2)
    found = heads.found(rows[1][1:], boxes[1][1:], scenes[1])  # without the region that lies right
    assert found.classes[0] == 1
    assert found.scores[0] > 0.4
    assert found.corners[0] == pytest.approx(
        [40, 20, 80, 60], abs=4
    )  # in pixels of the picture, not the canvas


def test_scores_and_moves_are_linear() -> None:
    classes = np.array([[0.5, 0.0], [0.0, 0.0], [0.1, 0.0]])
    moves = np.array([[0.0, 0, 0, 0], [0.25, 0, 0, 0], [0, 0, 0, 0]])
    row, box = np.array([[1.0, 2.0]], np.float32), np.array([[10.0, 10, 20, 20]])
    found = Heads(classes, moves, 1.0).found(row, box, scene(0))
    assert found.scores == pytest.approx([0.6])  # .5 * 1 + .1
    assert found.corners.tolist() == [[30, 20, 50, 40]]  # half a width to the right, then twice as large
