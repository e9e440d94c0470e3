"""Non-maximum suppression: of boxes that mean the same object, the most certain one is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


def kept(corners: Floats, classes: Ints, scores: Floats, *, iou: float, most: int | None = None) -> Ints:
    """Positions of the boxes that are kept, the most certain first; of equal scores, the first one.

    A box vanishes if a box of the same class with a larger score overlaps with it by more than `iou`.

    Args:
        corners: `(N, 4)`, left, top, right, bottom.
        classes: `(N,)`; equal numbers suppress each other.
        scores: `(N,)`.
        iou: the largest intersection over union that two kept boxes may have.
        most: the largest number that is kept; None for no limit.

    >>> boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    >>> kept(boxes, np.zeros(3, int), np.array([0.5, 0.9, 0.1]), iou=0.5).tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    boxes = corners[order].astype(np.float64)
    if len(boxes):  # boxes of different classes are moved apart, so that one pass serves all classes
        span = float((boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)).max()) + 1.0
        boxes = boxes + (classes[order] * span)[:, None]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    is_there = np.ones(len(boxes), dtype=bool)
    chosen: list[int] = []
    for place in range(len(boxes)):
        if not is_there[place]:
            continue
        chosen.append(place)
        if most is not None and len(chosen) == most:
            break
        rest = np.flatnonzero(is_there[place + 1 :]) + place + 1
        low = np.maximum(boxes[rest, :2], boxes[place, :2])
        high = np.minimum(boxes[rest, 2:], boxes[place, 2:])
        sides = np.maximum(high - low, 0.0)
        shared = sides[:, 0] * sides[:, 1]
        is_there[rest[shared > iou * (areas[rest] + areas[place] - shared)]] = False
    return order[np.array(chosen, dtype=np.int64)]
