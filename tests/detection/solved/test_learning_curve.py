from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.projected import ProjectedMaps
from regraft.detection.maps.projection import fit_projection
from regraft.detection.maps.scenes import Scene
from regraft.detection.solved.grid import GridFit, fit_grid
from regraft.detection.solved.learning_curve import grid_curve
from regraft.evaluation.detection_scores import DetectionCurve, DetectionCurvePoint
from regraft.records import Estimate, MapLevel
from regraft.storage.rows import Rows

LEVEL = MapLevel(stage="s", stride=16, channels=6, height=4, width=6, start=0, stop=144)
PICTURES = 60


def drawn() -> tuple[ProjectedMaps, list[Scene]]:
    """Pictures of one object, whose cell of a noisy map is brighter; folds in turn."""
    generator = np.random.default_rng(0)
    rows, scenes = generator.normal(size=(PICTURES, 4, 6, 6)), []
    for number in range(PICTURES):
        row, column = int(generator.integers(4)), int(generator.integers(6))
        rows[number, row, column, :2] += 2.0
        corners = np.array([[16.0 * column, 16 * row, 16 * column + 16, 16 * row + 16]])
        none, place = np.zeros(1, bool), Placement(96, 64, 96, 64)
        one = Scene(f"{number:064x}", "", place, corners, np.zeros(1, np.int64), none, none, number % 5)
        scenes.append(one)
    keys = [one.key for one in scenes]
    places = {key: place for place, key in enumerate(keys)}
    stored = Rows([rows.reshape(PICTURES, -1).astype(np.float16)], places)
    return ProjectedMaps(stored, fit_projection((LEVEL,), stored, keys), keys), scenes


@pytest.fixture(scope="module")
def fitted() -> tuple[ProjectedMaps, list[Scene], GridFit]:
    maps, scenes = drawn()
    return maps, scenes, fit_grid(maps, scenes, 1)


def test_a_curve_has_grids_of_one_two_and_four_folds(
    fitted: tuple[ProjectedMaps, list[Scene], GridFit],
) -> None:
    maps, scenes, fit = fitted
    curve = grid_curve(fit, maps, scenes, 1, seed=0)
    assert curve is not None
    assert [one.pictures for one in curve.points] == [12, 24, 48]
    assert curve.points[0].map50.value < curve.points[-1].map50.value
    assert -0.01 <= curve.doubling_gain.value < 1 - curve.points[-1].map50.value


def test_a_grid_of_some_folds_is_the_one_that_is_solved_on_their_pictures(
    fitted: tuple[ProjectedMaps, list[Scene], GridFit],
) -> None:
    maps, scenes, fit = fitted
    assert fit.sums is not None
    some = [replace(one, fold=number) for one in scenes
            for number, fold in enumerate((1, 3)) if one.fold == fold]  # fmt: skip
    alone = fit_grid(maps, some, 1)
    assert alone.sums is not None
    one, other = fit.sums.grid(fit.strengths, (1, 3)), alone.sums.grid(fit.strengths, (0, 1))
    np.testing.assert_allclose(one.classes, other.classes, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(one.sides, other.sides, rtol=1e-3, atol=1e-4)


def test_few_pictures_have_no_curve(fitted: tuple[ProjectedMaps, list[Scene], GridFit]) -> None:
    maps, scenes, fit = fitted
    assert grid_curve(fit, maps, scenes[:39], 1, seed=0) is None


def test_no_gain_is_said_as_such() -> None:
    point = DetectionCurvePoint(pictures=40, map50=Estimate(value=0.9))
    curve = DetectionCurve(points=(point,), doubling_gain=Estimate(value=0.004, low=0.0, high=0.01))
    assert (
        curve.sentence == "twice as many pictures would hardly make the grid better (from its learning curve)"
    )


def test_a_run_of_few_pictures_says_nothing_about_more(shapes_run: Path) -> None:
    assert DetectorFiles(shapes_run).scores.curve is None
    assert '"curve"' not in (shapes_run / "scores.json").read_text()
