"""The projected maps of many pictures, kept in memory if they fit, otherwise projected again at each use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.projection import Projection
from regraft.parallel import in_order
from regraft.storage.rows import Rows

Floats = npt.NDArray[Any]
_BATCH = 16
_MOST_BYTES = 1 << 30


class ProjectedMaps:
    """Components of maps by picture.

    Args:
        rows: rows of maps, in the cache.
        projection: brings them to their components.
        keys: the pictures that will be asked for.
    """

    def __init__(self, rows: Rows, projection: Projection, keys: Sequence[str]) -> None:
        self.projection = projection
        self._rows = rows
        cells = sum(
            level.height * level.width * axes.shape[1]
            for level, axes in zip(projection.levels, projection.axes, strict=True)
        )
        self._kept: dict[str, list[Floats]] = {}
        self._keeps = 4 * cells * len(keys) <= _MOST_BYTES

    def batches(self, keys: Sequence[str]) -> Iterator[tuple[Sequence[str], list[Floats]]]:
        """Pictures in order, some at a time: keys, and `(n, height, width, K) float32` for each level.

        The next ones are read and projected by a thread of their own while the last ones are used.
        """
        parts = [keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH)]
        yield from in_order(lambda part: (part, self._batch(part)), parts, workers=1, ahead=1)

    def _batch(self, keys: Sequence[str]) -> list[Floats]:
        missing = [key for key in keys if key not in self._kept]
        if missing:
            maps = self.projection.of(self._rows.gather(missing))
            if not self._keeps:
                return maps  # then nothing is kept, so all of them are missing
            for place, key in enumerate(missing):
                self._kept[key] = [one[place] for one in maps]
        return [
            np.stack([self._kept[key][number] for key in keys])
            for number in range(len(self.projection.levels))
        ]
