"""A data set of shapes and a detector of them, which tests share; those that change files copy them."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

import regraft
from regraft.detection.detectors.bundle import load_detector
from regraft.detection.detectors.detector import Detector
from tests.conftest import for_all_workers
from tests.detection.shapes import SETTINGS, USUAL, draw_shapes, drawn_anew


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighteen pictures of discs and squares."""
    folder = for_all_workers(tmp_path_factory) / "shapes"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            draw_shapes(folder.with_name("unfinished-shapes"), USUAL).rename(folder)
    return folder


@pytest.fixture(scope="session")
def shapes_run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a fit with all solved rungs."""
    folder = for_all_workers(tmp_path_factory) / "shapes-run"
    done = folder.with_name("shapes-run.done")
    with FileLock(f"{folder}.lock"):
        if not done.exists():
            with drawn_anew():
                regraft.fit(shapes, budget="5m", out=folder, **SETTINGS)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def shapes_detector(shapes_run: Path) -> Detector:
    """The detector of that run."""
    return load_detector(shapes_run)
