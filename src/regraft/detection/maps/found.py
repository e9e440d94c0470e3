"""What a detector found in one picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Found:
    """The boxes that were found in one picture, the most probable first; N may be 0.

    >>> found = Found.of([[0, 0, 9, 9], [5, 5, 8, 8]], [1, 0], [0.3, 0.9])
    >>> found.classes.tolist(), found.above(0.5).corners.tolist()
    ([0, 1], [[5.0, 5.0, 8.0, 8.0]])
    """

    corners: npt.NDArray[np.float64]
    """`(N, 4)`, left, top, right and bottom edge in pixels of the upright picture."""
    classes: npt.NDArray[np.int64]
    """`(N,)`, the number of each box's class."""
    scores: npt.NDArray[np.float64]
    """`(N,)`, in [0, 1]: the probability that there is an object of this class there."""

    @classmethod
    def of(cls, corners: npt.ArrayLike, classes: npt.ArrayLike, scores: npt.ArrayLike) -> Found:
        """Boxes in any order."""
        values = np.asarray(scores, dtype=np.float64).reshape(-1)
        order = np.argsort(-values, kind="stable")
        edges = np.asarray(corners, dtype=np.float64).reshape(len(values), 4)
        return cls(edges[order], np.asarray(classes, dtype=np.int64).reshape(-1)[order], values[order])

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, threshold: float | npt.NDArray[np.float64]) -> Found:
        """The boxes whose score is at least the threshold, or that of their class `(K,)`."""
        least = np.broadcast_to(threshold, ()) if np.ndim(threshold) == 0 else threshold[self.classes]  # type: ignore[index]
        shown = self.scores >= least
        return Found(self.corners[shown], self.classes[shown], self.scores[shown])
