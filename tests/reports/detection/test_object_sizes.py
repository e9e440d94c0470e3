from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regraft.detection.detectors.evaluated import evaluated
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.run_tables import BoxRow, DetectionRow, PictureRow
from regraft.evaluation.average_precision import average_precision
from regraft.reports.detection.object_sizes import by_size, matches_of_size
from tests.evaluation.box_sets import drawn
from tests.reports.detector_runs import DetectorRunFolder, counted_by_hand, square

JUST_BELOW = 1e-7  # COCO's ranges include both of their ends


@pytest.mark.parametrize(
    ("place", "low", "high"),
    [(1, -1.0, 32.0**2), (2, 32**2 - JUST_BELOW, 96.0**2), (3, 96**2 - JUST_BELOW, 1e10)],
    ids=["small", "medium", "large"],
)
@pytest.mark.parametrize("seed", range(6))
def test_a_range_of_coco_gives_what_coco_gives(place: int, low: float, high: float, seed: int) -> None:
    data = drawn(seed)
    matches = data.matches()
    part = matches_of_size(data.truth, data.found, matches, low, high)
    np.testing.assert_array_equal(part.is_counted[0], matches.is_counted[place])
    np.testing.assert_allclose(
        average_precision(part, sizes=["all"])[:, 0], average_precision(matches)[:, place], equal_nan=True
    )


def test_thirds_are_of_equal_number_and_each_is_scored_alone(tmp_path: Path) -> None:
    """Of two small, two middle and two large objects, none, one and both are found."""
    sides = (10, 12, 20, 22, 40, 44)
    pictures = [PictureRow(f"{n}.png", "test", 100, 100, f"{n:064x}") for n in range(6)]
    boxes = [BoxRow(f"{n}.png", "test", "cell", *square(5, 5, side)) for n, side in enumerate(sides)]
    found = [DetectionRow(f"{n}.png", "test", "cell", 0.9, *boxes[n].corners) for n in (3, 4, 5)]
    folder = DetectorRunFolder(tmp_path, pictures, boxes, found, ("cell",)).write(tmp_path / "run")
    files = DetectorFiles(folder)
    _, thirds = by_size(evaluated(files), files.best)
    assert [row.objects for row in thirds] == [2, 2, 2]
    values = [row.map50.value for row in thirds if row.map50]
    assert values == pytest.approx([0, 51 / 101, 1])
    assert thirds[0].high_px == pytest.approx(np.sqrt(np.quantile(np.square(sides), 1 / 3)))


def test_objects_of_one_size_have_no_thirds(tmp_path: Path) -> None:
    files = DetectorFiles(counted_by_hand(tmp_path).write(tmp_path / "run"))
    coco, thirds = by_size(evaluated(files), files.best)
    assert thirds == []
    assert [(row.name, row.objects) for row in coco] == [("small", 5), ("medium", 0), ("large", 0)]
    assert coco[0].map == files.best.map_small
    assert coco[1].map50 is None
