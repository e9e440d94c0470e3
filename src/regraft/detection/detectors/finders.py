"""What finds boxes on maps: the part of a detector after the frozen network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.found import Found
from regraft.detection.maps.projection import Projection
from regraft.detection.solved.grid import Grid, suppressed
from regraft.detection.solved.regions import Pass, Regions
from regraft.records import MapLevel

Floats = npt.NDArray[Any]
DetectorKind = Literal["grid", "regions", "one-stage", "two-stage"]


class Finder(Protocol):
    """Finds boxes on the maps of pictures."""

    @property
    def kind(self) -> DetectorKind:
        """What kind of detector it is."""

    @property
    def levels(self) -> tuple[MapLevel, ...]:
        """The maps that it reads."""

    def found(self, rows: Floats, placements: Sequence[Placement]) -> list[Found]:
        """The boxes in each picture, in pixels of the picture, with scores that are not calibrated.

        Args:
            rows: rows of maps `(N, F)`.
            placements: where each picture lies on the canvas.
        """

    def arrays(self) -> dict[str, Floats]:
        """Everything that it needs to be built again, as arrays by name."""


@dataclass(frozen=True)
class GridFinder:
    """The solved grid on projected maps."""

    projection: Projection
    grid: Grid
    kind: DetectorKind = "grid"

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.grid.classes.shape[1])

    @property
    def levels(self) -> tuple[MapLevel, ...]:
        return self.projection.levels

    def found(self, rows: Floats, placements: Sequence[Placement]) -> list[Found]:
        boxes, scores = self.grid.cells(self.projection.of(rows))
        return [suppressed(*each) for each in zip(boxes, scores, placements, strict=True)]

    def arrays(self) -> dict[str, Floats]:
        return {
            **self.projection.arrays(),
            "grid.classes": self.grid.classes.astype(np.float32),
            "grid.sides": self.grid.sides.astype(np.float32),
        }


@dataclass(frozen=True)
class RegionsFinder:
    """Solved regions on projected maps."""

    projection: Projection
    regions: Regions
    kind: DetectorKind = "regions"

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.regions.passes[-1].classes.shape[1])

    @property
    def levels(self) -> tuple[MapLevel, ...]:
        return self.projection.levels

    def found(self, rows: Floats, placements: Sequence[Placement]) -> list[Found]:
        maps = self.projection.of(rows)
        return [
            self.regions.found([one[place] for one in maps], placement)
            for place, placement in enumerate(placements)
        ]

    def arrays(self) -> dict[str, Floats]:
        named = {
            f"passes.{number}.{name}": getattr(one, name).astype(np.float32)
            for number, one in enumerate(self.regions.passes)
            for name in ("classes", "moves")
        }
        return {**GridFinder(self.projection, self.regions.grid).arrays(), **named}


def solved_finder(
    kind: DetectorKind, levels: tuple[MapLevel, ...], arrays: Mapping[str, Floats]
) -> GridFinder | RegionsFinder:
    """A solved detector from its arrays.

    Raises:
        KeyError: an array is missing.
        ValueError: detectors of this kind are not solved.
    """
    projection = Projection.load(levels, arrays)
    grid = Grid(levels, arrays["grid.classes"], arrays["grid.sides"])
    if kind == "grid":
        return GridFinder(projection, grid)
    if kind != "regions":
        raise ValueError(f"a detector of the kind {kind} is not solved")
    numbers = range(sum(name.endswith(".moves") for name in arrays))
    passes = tuple(
        Pass(arrays[f"passes.{number}.classes"], arrays[f"passes.{number}.moves"]) for number in numbers
    )
    return RegionsFinder(projection, Regions(grid, passes))
