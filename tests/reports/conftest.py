"""A detector's run for the pages about detectors: the one that the tests of detection share."""

from tests.detection.conftest import shapes, shapes_run

__all__ = ["shapes", "shapes_run"]
