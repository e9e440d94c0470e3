"""The true boxes of pictures as rows of numbers, in the view that an epoch uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from regraft.detection.trained.assignment import PADDING
from regraft.training.loop.batches import Places

Rows = npt.NDArray[np.float32]


def padded(pictures: Sequence[npt.ArrayLike]) -> Rows:
    """Rows of all pictures as one array, `(N, M, 5) float32`, where M is the largest number of rows.

    Args:
        pictures: rows `(M, 5)` of each picture: class number (-2 for a region that is ignored), left, top,
            right and bottom edge in pixels of the canvas; a picture without boxes has none.

    >>> padded([[[0, 1, 2, 3, 4]], np.zeros((0, 5))]).tolist()
    [[[0.0, 1.0, 2.0, 3.0, 4.0]], [[-1.0, 0.0, 0.0, 0.0, 0.0]]]
    """
    each = [np.asarray(rows, dtype=np.float32).reshape(-1, 5) for rows in pictures]
    result = np.zeros((len(each), max((len(rows) for rows in each), default=0), 5), dtype=np.float32)
    result[..., 0] = PADDING
    for number, rows in enumerate(each):
        result[number, : len(rows)] = rows
    return result


class ViewTargets:
    """Targets that follow the view of a source; a batch has no more rows than its pictures need.

    Args:
        views: targets in each view, `(N, M, 5) float32`, as `padded` makes them.
        current: the number of the view that the source uses now.
    """

    def __init__(self, views: Sequence[Rows], current: Callable[[], int] = lambda: 0) -> None:
        self._views, self._current = tuple(views), current

    def __len__(self) -> int:
        return len(self._views[0])

    def __getitem__(self, places: Places, /) -> Rows:
        rows = self._views[self._current()][places]
        longest = int((rows[..., 0] != PADDING).sum(axis=1).max(initial=0))
        return rows[:, :longest]

    @property
    def objects(self) -> float:
        """The mean number of boxes in a picture."""
        return float((self._views[0][..., 0] >= 0).sum(axis=1).mean())
