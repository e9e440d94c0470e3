"""A detector of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from regraft.detection.detectors.detector import Detector
from regraft.features.runtimes import Row
from tests.detection.graph.kinds import each_kind, rows_of


@pytest.fixture(scope="session")
def shapes_rows(shapes: Path, shapes_detector: Detector) -> Row:
    """The maps of the eighteen pictures of shapes."""
    return rows_of(shapes_detector, shapes / "images")


@pytest.fixture(scope="session")
def detectors(shapes_detector: Detector, shapes_rows: Row) -> Mapping[str, Detector]:
    """By kind."""
    return each_kind(shapes_detector, shapes_rows)
