"""Fewer numbers a cell: the principal components of each map's channels.

A detector in closed form solves for as many unknowns as a cell has columns, so its cost grows with their
square. Most channels of a network repeat others (Pearson 1901; Hotelling 1933).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.records import MapLevel
from regraft.storage.rows import Rows

Floats = npt.NDArray[Any]
WIDTHS = {8: 64, 16: 192, 32: 256}
"""The most components that are kept of a map, by its stride."""
_SAMPLE_PICTURES = 64
_SAMPLE_CELLS = 8_192


@dataclass(frozen=True)
class Projection:
    """What brings the channels of each map to their principal components.

    A component has the spread that it has in the sample of pictures: components are not scaled, so that a
    ridge penalty shrinks what varies little most.
    """

    levels: tuple[MapLevel, ...]
    means: tuple[Floats, ...]
    """Mean of each channel, `(C,) float32` for each level."""
    axes: tuple[Floats, ...]
    """Components in columns, divided by the spread of the channels, `(C, K) float32` for each level."""

    def of(self, rows: Floats) -> list[Floats]:
        """The components of rows of maps `(N, F)`: `(N, height, width, K) float32` for each level."""
        return [
            self._level(rows[:, level.start : level.stop], number) for number, level in enumerate(self.levels)
        ]

    def _level(self, values: Floats, number: int) -> Floats:
        level, axes = self.levels[number], self.axes[number]
        cells = values.astype(np.float32).reshape(-1, level.channels)
        shift = self.means[number] @ axes
        shape = (len(values), level.height, level.width, axes.shape[1])
        components: Floats = (cells @ axes - shift).reshape(shape)
        return components

    def arrays(self) -> dict[str, Floats]:
        """The arrays by name, as they are saved."""
        numbered = enumerate(zip(self.means, self.axes, strict=True))
        return {
            name: value
            for number, (mean, axes) in numbered
            for name, value in ((f"projection.{number}.mean", mean), (f"projection.{number}.axes", axes))
        }

    @classmethod
    def load(cls, levels: tuple[MapLevel, ...], arrays: Mapping[str, Floats]) -> Projection:
        """The projection that `arrays` gave.

        Raises:
            KeyError: an array is missing.
        """
        numbers = range(len(levels))
        return cls(
            levels,
            tuple(arrays[f"projection.{number}.mean"] for number in numbers),
            tuple(arrays[f"projection.{number}.axes"] for number in numbers),
        )


def fit_projection(levels: tuple[MapLevel, ...], rows: Rows, keys: Sequence[str]) -> Projection:
    """Principal components of the channels, from a sample of pictures.

    Args:
        levels: the maps of a row.
        rows: rows of maps.
        keys: the pictures; the first 64 in the order of their hashes are the sample.
    """
    sample = rows.gather(sorted(keys)[:_SAMPLE_PICTURES])
    means, axes = [], []
    for level in levels:
        cells = sample[:, level.start : level.stop].reshape(-1, level.channels)
        step = max(1, len(cells) // _SAMPLE_CELLS)
        cells = cells[::step].astype(np.float32)
        mean, spread = cells.mean(axis=0), cells.std(axis=0)
        scale = 1 / np.maximum(spread, 1e-3 * max(float(spread.max()), 1e-6))
        scaled = (cells - mean) * scale
        width = min(WIDTHS[level.stride], level.channels)
        _, vectors = np.linalg.eigh((scaled.T @ scaled).astype(np.float64))
        chosen = vectors[:, ::-1][:, :width]
        chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(width)])  # one of two signs
        means.append(mean.astype(np.float32))
        axes.append((chosen * scale[:, None]).astype(np.float32))
    return Projection(levels, tuple(means), tuple(axes))
