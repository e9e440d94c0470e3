"""Non-maximum suppression: of boxes that mean the same object, the most certain one is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
_BLOCK = 64  # overlaps are computed for this many boxes at once, so that memory stays bounded


def kept(corners: Floats, classes: Ints, scores: Floats, *, iou: float, most: int | None = None) -> Ints:
    """Positions of the boxes that are kept, the most certain first; of equal scores, the first one.

    A box vanishes if it overlaps by more than `iou` with a kept box of its class that has a larger score. The
    result is that of `torchvision.ops.batched_nms` on double-precision numbers.

    Args:
        corners: `(N, 4)`, left, top, right, bottom.
        classes: `(N,)`; equal numbers suppress each other.
        scores: `(N,)`.
        iou: the largest intersection over union that two kept boxes of a class may have.
        most: the largest number that is kept, of all classes together; None for no limit.

    >>> boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])
    >>> kept(boxes, np.zeros(3, int), np.array([0.5, 0.9, 0.1]), iou=0.5).tolist()
    [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    edges = np.ascontiguousarray(corners[order].T, dtype=np.float64)
    kinds = classes[order]
    chosen = np.zeros(0, dtype=np.int64)
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        hidden = _hides(edges[:, chosen], kinds[chosen], edges[:, block], kinds[block], iou).any(axis=0)
        block = block[~hidden]
        hides = _hides(edges[:, block], kinds[block], edges[:, block], kinds[block], iou)
        is_there = np.ones(len(block), dtype=bool)
        for place in range(len(block)):
            if is_there[place]:
                is_there[place + 1 :] &= ~hides[place, place + 1 :]
        chosen = np.concatenate([chosen, block[is_there]])
        if most is not None and len(chosen) >= most:
            break
    return order[chosen[:most]]


def _hides(ones: Floats, own: Ints, others: Floats, theirs: Ints, iou: float) -> npt.NDArray[np.bool_]:
    """Which of the boxes `(4, N)` hide which others `(4, M)`: those of their class that overlap too much."""
    left, top, right, bottom = ones[:, :, None]
    across = np.minimum(right, others[2]) - np.maximum(left, others[0])
    down = np.minimum(bottom, others[3]) - np.maximum(top, others[1])
    shared = np.maximum(across, 0.0) * np.maximum(down, 0.0)
    areas = (right - left) * (bottom - top)
    together = areas + (others[2] - others[0]) * (others[3] - others[1]) - shared
    return np.asarray((shared > iou * together) & (own[:, None] == theirs))
