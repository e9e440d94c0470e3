"""The trivial detector: always the training pictures' average boxes, with no look at the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.found import Found
from regraft.detection.maps.scenes import Scene
from regraft.randomness import generator

Floats = npt.NDArray[Any]
METHOD = "the training pictures' average boxes, the same in every picture"
_MOST_BOXES = 20
_STEPS = 20


def average_boxes(training: Sequence[Scene], scenes: Sequence[Scene], classes: int) -> list[Found]:
    """The boxes that are shown in each picture: centres of k-means over each class's boxes.

    As many boxes of a class are shown as a training picture has on average (at least one, at most 20). Boxes
    are compared as shares of their picture. The score is the share of training pictures with the class, times
    the number of boxes nearest to the centre as a share of the largest such number.

    Args:
        training: the training pictures.
        scenes: the pictures to show boxes in.
        classes: number of classes K.
    """
    corners, numbers, scores = [np.zeros((0, 4))], [np.zeros(0, np.int64)], [np.zeros(0)]
    for number in range(classes):
        own = [_shares(one)[(one.classes == number) & ~one.is_ignored] for one in training]
        boxes = np.concatenate(own)
        if not len(boxes):
            continue
        count = min(_MOST_BOXES, max(1, round(len(boxes) / len(training))), len(boxes))
        centres, sizes = _centres(boxes, count)
        corners.append(centres)
        numbers.append(np.full(len(centres), number))
        present = np.mean([len(one) > 0 for one in own])
        scores.append(present * sizes / max(1, sizes.max()))
    every = np.concatenate(corners), np.concatenate(numbers), np.concatenate(scores)
    return [Found.of(every[0] * _size(one), every[1], every[2]) for one in scenes]


def _size(scene: Scene) -> Floats:
    return np.array([scene.placement.width, scene.placement.height] * 2, dtype=np.float64)


def _shares(scene: Scene) -> Floats:
    return scene.corners / _size(scene)


def _centres(boxes: Floats, count: int) -> tuple[Floats, Floats]:
    """Centres of k-means (Lloyd 1982), and the number of boxes nearest to each."""
    draws = generator(0, "average boxes", len(boxes), count)
    centres = boxes[draws.choice(len(boxes), count, replace=False)]
    nearest = np.zeros(len(boxes), dtype=np.int64)
    for _ in range(_STEPS):
        nearest = ((boxes[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        for one in range(count):
            if (nearest == one).any():
                centres[one] = boxes[nearest == one].mean(axis=0)
    return centres, np.bincount(nearest, minlength=count).astype(np.float64)
