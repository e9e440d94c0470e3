from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regraft.detection.detectors.evaluated import Evaluated, evaluated
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.reports.detection.cases import box_path, cases
from regraft.reports.detection.losses import MISTAKES, losses
from regraft.reports.detection.object_counts import object_counts
from tests.reports.detection.test_confusion import of_random_boxes
from tests.reports.detector_runs import counted_by_hand


@pytest.fixture
def run(tmp_path: Path) -> Evaluated:
    return evaluated(DetectorFiles(counted_by_hand(tmp_path).write(tmp_path / "run")))


def test_the_worst_comes_first_with_its_errors_numbered(run: Evaluated) -> None:
    first, second = cases(run, 60)
    assert [(one.right, one.wrong, one.lost) for one in (first, second)] == [(1, 4, 3), (1, 0, 0)]
    assert [(mark.number, mark.kind, run.labels[mark.label]) for mark in first.marks] == [
        (1, "duplicate", "cell"),
        (2, "wrong class", "cell"),
        (3, "background", "crystal"),
        (4, "poor box", "cell"),
        (5, "missed", "cell"),
    ]
    assert first.marks[1].true == 1
    assert first.marks[4].path == "M20 0h10v10h-10z"
    assert second.marks == []


def test_layers_divide_what_is_found_from_what_is_not(run: Evaluated) -> None:
    drawn = {(layer.what, layer.label): layer.path.count("M") for layer in cases(run, 60)[0].layers}
    assert drawn == {("there", 0): 1, ("lost", 0): 2, ("lost", 1): 1, ("right", 0): 1}


def test_losses_are_those_by_hand(run: Evaluated) -> None:
    counted = {row.kind: row.count for row in losses(run)}
    assert counted == {
        "wrong class": 1, "poor box": 1, "both": 0, "duplicate": 1, "background": 1, "missed": 1,
        "all wrong boxes": 4, "all objects not found": 3,
    }  # fmt: skip


def test_counts_are_those_by_hand(run: Evaluated) -> None:
    together, cell, crystal = object_counts(run).rows
    assert (together.there, together.shown, together.error.value, together.exact) == (5, 6, 0.5, 0.5)
    assert (cell.there, cell.shown, cell.error.value) == (3, 4, 0.5)
    assert (crystal.there, crystal.shown, crystal.error.value) == (2, 2, 0.0)


@pytest.mark.parametrize("seed", range(8))
def test_every_kind_of_error_that_occurs_is_shown(seed: int) -> None:
    run = of_random_boxes(seed)
    kinds = {row.kind for row in losses(run) if row.count and row.kind in MISTAKES}
    found = cases(run, 60)
    assert len(found) <= len(run.pictures)
    assert {mark.kind for one in found for mark in one.marks} == kinds


@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_more_pictures_than_allowed(most: int) -> None:
    assert len(cases(of_random_boxes(3), most)) == min(most, len(of_random_boxes(3).pictures))


def test_of_few_pictures_all_are_shown() -> None:
    """Those without an error too, of which six would be examples enough on a page about many."""
    run = of_random_boxes(0)
    assert 0 < len(run.pictures) <= 24
    assert len(cases(run, 60)) == len(run.pictures)


def test_a_path_keeps_as_many_digits_as_asked() -> None:
    box = [np.array([0.26, 10.0, 5.5, 20.04])]
    assert box_path(box) == "M0 10h5v10h-5z"
    assert box_path(box, 1) == "M0.3 10h5.2v10h-5.2z"
