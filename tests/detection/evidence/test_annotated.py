from __future__ import annotations

from pathlib import Path

import pytest

from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.evidence.annotated import Annotated, annotated
from regraft.detection.maps.found import Found
from tests.reports.detector_runs import LABELS, counted_by_hand, square

CELL, CRYSTAL = 0, 1


@pytest.fixture
def files(tmp_path: Path) -> DetectorFiles:
    """In a.png three cells at x = 0, 20 and 60 and a crystal at x = 40; the sides are 10."""
    return DetectorFiles(counted_by_hand(tmp_path).write(tmp_path / "run"))


def looked_at(files: DetectorFiles, found: Found, threshold: float = 0.5) -> Annotated:
    known = annotated(files, "a" * 64, LABELS, found, found.above(threshold))
    assert known is not None
    return known


def test_a_picture_of_another_hash_is_not_of_the_run(files: DetectorFiles) -> None:
    nothing = Found.of([], [], [])
    assert annotated(files, "c" * 64, LABELS, nothing, nothing) is None


def test_every_shown_box_has_its_kind_and_every_object_that_is_not_found_is_missed(
    files: DetectorFiles,
) -> None:
    found = Found.of(
        [square(0, 0), (0, 0, 10, 9), square(40, 0), square(0, 50)], [CELL, CELL, CELL, CRYSTAL],
        [0.9, 0.8, 0.7, 0.6],
    )  # fmt: skip
    known = looked_at(files, found)
    assert known.kinds == ("right", "duplicate", "wrong class", "background")
    assert [one.box.corners for one in known.missed] == [square(20, 0), square(40, 0), square(60, 0)]
    assert [one.other for one in known.missed] == ["", "cell", ""]
    assert known.objects == 4


def test_a_missed_object_has_the_best_probability_and_overlap_of_its_class(files: DetectorFiles) -> None:
    found = Found.of(
        [square(20, 0), (20, 0, 30, 6), (60, 0, 64, 10), square(60, 0)], [CELL, CELL, CELL, CRYSTAL],
        [0.3, 0.4, 0.2, 0.45],
    )  # fmt: skip
    first, weak, _, cut = looked_at(files, found).missed
    assert (first.score, first.overlap) == (None, 0.0)
    assert (weak.score, weak.overlap) == (0.4, 1.0)
    assert (cut.score, cut.overlap) == (None, pytest.approx(0.4))


def test_an_object_that_is_hard_to_see_is_not_missed(tmp_path: Path) -> None:
    from dataclasses import replace

    run = counted_by_hand(tmp_path)
    run.boxes = [replace(box, is_difficult=True) for box in run.boxes[:4]] + run.boxes[4:]
    known = looked_at(DetectorFiles(run.write(tmp_path / "run")), Found.of([], [], []))
    assert (known.missed, known.objects) == ((), 0)
