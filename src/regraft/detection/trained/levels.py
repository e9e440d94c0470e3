"""From a row of cached maps to standardised maps: the input of every part that is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regraft.records import MapLevel

_LEAST_SHARE = 0.01  # of the mean spread: a channel that hardly varies is not blown up to noise


@dataclass(frozen=True)
class Spread:
    """How the values of each channel of one level are spread, over all cells of some pictures."""

    mean: npt.NDArray[np.float32]
    """`(C,)`."""
    deviation: npt.NDArray[np.float32]
    """`(C,)`, greater than 0."""


def spreads(rows: npt.NDArray[np.float16 | np.float32], levels: Sequence[MapLevel]) -> tuple[Spread, ...]:
    """The mean and the standard deviation of each channel of each level.

    Args:
        rows: maps of some pictures, `(N, F)`; 64 of them are plenty.
        levels: where each level is in a row.

    >>> level = MapLevel(stage="s", stride=8, channels=2, height=1, width=2, start=0, stop=4)
    >>> (spread,) = spreads(np.array([[1, 0, 3, 8]], np.float16), [level])
    >>> spread.mean.tolist(), spread.deviation.tolist()
    ([2.0, 4.0], [1.0, 4.0])
    """
    found = []
    for level in levels:
        sums = np.zeros((2, level.channels))
        for row in rows:
            cells = np.asarray(row[level.start : level.stop], np.float64).reshape(-1, level.channels)
            sums += cells.sum(axis=0), np.square(cells).sum(axis=0)
        mean, square = sums / (len(rows) * level.height * level.width)
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        least = _LEAST_SHARE * float(deviation.mean()) or 1.0
        found.append(Spread(mean.astype(np.float32), np.maximum(deviation, least).astype(np.float32)))
    return tuple(found)


class Levels(nn.Module):
    """From rows `(N, F) float16 or float32` to standardised maps, a list of `(N, C, H, W) float32`.

    The maps are channels last in memory, as rows have them, which is the fastest layout for convolutions.

    Args:
        levels: where each level is in a row.
        spread: what each level is standardised by; None for a mean of 0 and a deviation of 1, which are
            replaced when saved weights are loaded.
    """

    def __init__(self, levels: Sequence[MapLevel], spread: Sequence[Spread] | None = None) -> None:
        super().__init__()
        self.levels = tuple(levels)
        for number, level in enumerate(levels):
            one = spread[number] if spread else None
            mean = torch.from_numpy(one.mean.copy()) if one else torch.zeros(level.channels)
            deviation = torch.from_numpy(one.deviation.copy()) if one else torch.ones(level.channels)
            self.register_buffer(f"mean_{level.stride}", mean)
            self.register_buffer(f"scale_{level.stride}", 1 / deviation)

    def forward(self, rows: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for level in self.levels:
            cells = rows[:, level.start : level.stop].float()
            cells = cells.reshape(len(rows), level.height * level.width, level.channels)
            mean, scale = self.get_buffer(f"mean_{level.stride}"), self.get_buffer(f"scale_{level.stride}")
            standard = torch.addcmul(-mean * scale, cells, scale)
            maps.append(standard.reshape(-1, level.height, level.width, level.channels).permute(0, 3, 1, 2))
        return maps
