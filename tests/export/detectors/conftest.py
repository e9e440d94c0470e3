"""A detector of each kind, from the tests of detectors."""

from __future__ import annotations

from tests.detection.conftest import shapes, shapes_detector, shapes_run
from tests.detection.graph.conftest import detectors, shapes_rows

__all__ = ["detectors", "shapes", "shapes_detector", "shapes_rows", "shapes_run"]
