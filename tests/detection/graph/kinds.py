"""A detector of each kind on the same maps; trained ones have random weights and find many boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.finders import GridFinder, RegionsFinder
from regraft.detection.maps.canvas import on_canvas
from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained.levels import spreads
from regraft.detection.trained.record import TrainedKind, TrainedRecord
from regraft.features.opening import open_runtime
from regraft.features.runtimes import Row
from regraft.progress import Silent

KINDS = ("grid", "regions", "one-stage", "two-stage")
_SPREAD = {"says.weight": 0.5, "kind.weight": 0.5, "offsets.weight": 0.05}


def rows_of(detector: Detector, pictures: Path) -> Row:
    """The rows of maps of all PNG files in a folder, `(N, F) float32`."""
    runtime = open_runtime(detector.weights, name="torch", cut="maps", reporter=Silent())
    files = sorted(pictures.glob("*.png"))
    spec = detector.weights.input_spec
    rows = dict(runtime.run((file, on_canvas(file.read_bytes(), spec)[0]) for file in files))
    return np.stack([rows[file] for file in files])


def each_kind(solved: Detector, rows: Row) -> Mapping[str, Detector]:
    """A detector of each kind.

    Args:
        solved: one with solved regions.
        rows: rows of maps.
    """
    finder = solved.finder
    assert isinstance(finder, RegionsFinder)
    grid = replace(solved, finder=GridFinder(finder.projection, finder.regions.grid))
    trained = {
        kind: replace(solved, finder=_random(kind, solved, rows)) for kind in ("one-stage", "two-stage")
    }
    return {"grid": grid, "regions": solved, **trained}  # type: ignore[dict-item]


def _random(kind: TrainedKind, solved: Detector, rows: Row) -> TrainedFinder:
    height, width, _ = solved.weights.input_spec.shape
    levels = solved.finder.levels
    record = TrainedRecord(kind=kind, classes=2, canvas=(width, height), levels=levels, width=32, regions=16)
    trained = TrainedDetector.new(record, spreads(rows, levels), seed=1)
    draws = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, values in trained.head.named_parameters():
            for end, spread in _SPREAD.items():
                if name.endswith(end):
                    values.copy_(torch.randn(values.shape, generator=draws) * spread)
            if name.endswith("says.weight"):
                values[-4:] *= 0.1  # the sides, which are exponentials
    return TrainedFinder(trained)
