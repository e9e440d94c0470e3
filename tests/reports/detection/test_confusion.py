from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regraft.detection.detectors.evaluated import Evaluated, evaluated
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.run_tables import PictureRow
from regraft.reports.detection.confusion import confusion, confusion_counts
from tests.evaluation.box_sets import drawn
from tests.reports.detector_runs import counted_by_hand


def of_random_boxes(seed: int) -> Evaluated:
    data = drawn(seed)
    pictures = tuple(PictureRow(f"{n}.png", "test", 200, 200, "0" * 64) for n in range(data.images))
    labels = tuple(f"class {n}" for n in range(data.classes))
    return Evaluated("test", pictures, labels, np.full(data.classes, 0.4), data.truth, data.found)


def test_counts_are_those_by_hand(tmp_path: Path) -> None:
    run = evaluated(DetectorFiles(counted_by_hand(tmp_path).write(tmp_path / "run")))
    assert confusion_counts(run).tolist() == [
        [1, 1, 2],  # shown as cell: one right, one on a crystal, a duplicate and a poor box
        [0, 1, 1],  # shown as crystal: one right, one on the background
        [2, 0, 0],  # missed
    ]


def test_the_table_has_a_row_for_what_is_missed_and_a_column_for_the_background(tmp_path: Path) -> None:
    found = confusion(evaluated(DetectorFiles(counted_by_hand(tmp_path).write(tmp_path / "run"))))
    assert found.columns == ["cell", "crystal", "background"]
    assert [(name, [cell.count for cell in cells]) for name, cells in found.rows] == [
        ("cell", [1, 1, 2]), ("crystal", [0, 1, 1]), ("missed", [2, 0]),
    ]  # fmt: skip
    assert [(one.label, one.shown_as, one.count, one.objects) for one in found.pairs] == [
        ("crystal", "cell", 1, 2)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_columns_add_up_to_the_objects_and_rows_to_the_boxes_that_count(seed: int) -> None:
    run = of_random_boxes(seed)
    table = confusion_counts(run)
    width = len(run.labels)
    objects = np.bincount(run.truth.classes[run.is_counted], minlength=width)
    counted = run.shown_errors.kinds != 6  # ignored
    boxes = np.bincount(run.shown.classes[counted], minlength=width)
    assert table.sum(axis=0)[:width].tolist() == objects.tolist()
    assert table.sum(axis=1)[:width].tolist() == boxes.tolist()
    assert np.trace(table[:width, :width]) == run.shown_errors.count("right")
