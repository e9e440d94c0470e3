from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from regraft.detection.detectors.bundle import load_detector
from regraft.detection.detectors.records import DetectionSheet
from regraft.detection.detectors.run_tables import BOXES, DETECTIONS, PICTURES, SUSPECTS, THRESHOLDS
from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.found import Found
from regraft.detection.maps.scenes import Scene
from regraft.detection.run_writing import DetectionRun, suspects
from regraft.evaluation.average_precision import average_precision
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.matching import match
from regraft.runs.records import LadderRecord
from regraft.storage.files import read_json


@dataclass
class _Outcome:
    """As much of an outcome as suspects are found in."""

    validation: SimpleNamespace
    test: SimpleNamespace | None
    dataset: SimpleNamespace


def outcome(found: Found, *, is_ignored: bool = False) -> _Outcome:
    corners = np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]])
    flags = np.array([False, is_ignored])
    scene = Scene(
        "0" * 64, "a.png", Placement(100, 100, 96, 64), corners, np.array([0, 1]), flags, flags & False
    )
    judged = SimpleNamespace(scenes=(scene,), found=(found,))
    dataset = SimpleNamespace(
        labels=("cat", "dog"), pictures=lambda side: (scene,) if side == "train" else ()
    )
    return _Outcome(judged, None, dataset)


def test_suspects_by_hand() -> None:
    boxes = [[0, 0, 10, 9], [80, 80, 90, 90], [30, 30, 40, 40], [0, 80, 9, 90]]
    found = Found.of(boxes, [0, 1, 0, 1], [0.95, 0.9, 0.6, 0.4])
    rows = suspects(outcome(found))  # type: ignore[arg-type]
    assert [(row.kind, row.label, row.score, row.corners) for row in rows] == [
        ("forgotten", "dog", 0.9, (80, 80, 90, 90)),
        ("forgotten", "cat", 0.6, (30, 30, 40, 40)),  # the box of .4 is not probable
        ("not found", "dog", 0.9, (50, 50, 60, 60)),
    ]
    assert {row.side for row in rows} == {"train"}


def test_a_box_of_another_class_finds_an_object_and_ignored_ones_are_no_suspects() -> None:
    found = Found.of([[0, 0, 10, 9]], [1], [0.2])
    [row] = suspects(outcome(found))  # type: ignore[arg-type]
    assert (row.kind, row.label, row.score) == ("not found", "dog", 0.2)
    assert suspects(outcome(found, is_ignored=True)) == []  # type: ignore[arg-type]


def test_nothing_found_makes_all_objects_suspects() -> None:
    rows = suspects(outcome(Found.of(np.zeros((0, 4)), [], [])))  # type: ignore[arg-type]
    assert [(row.kind, row.score) for row in rows] == [("not found", None)] * 2


def test_a_run_folder_is_complete(shapes_run: Path) -> None:
    assert sorted(path.name for path in shapes_run.iterdir()) == [
        "boxes.csv", "bundle", "detections.csv", "findings.csv", "ladder.csv", "ladder.json", "ladder.svg",
        "log.jsonl", "pictures.csv", "run.json", "scores.csv", "scores.json", "skipped.csv", "split.csv",
        "split.json", "suspects.csv", "thresholds.csv",
    ]  # fmt: skip
    run = DetectionRun.model_validate(read_json(shapes_run / "run.json"))
    assert run.detector == run.name == load_detector(shapes_run).finder.kind
    SUSPECTS.read(shapes_run)


def test_tables_hold_the_pictures_and_boxes_of_the_data(shapes: Path, shapes_run: Path) -> None:
    with (shapes / "boxes.csv").open(newline="") as file:
        given = list(csv.DictReader(file))
    pictures = {row.path: row for row in PICTURES.read(shapes_run)}
    assert set(pictures) == {row["path"] for row in given}
    assert {(row.width, row.height) for row in pictures.values()} == {(96, 64)}
    boxes = {(row.path, row.label, *row.corners) for row in BOXES.read(shapes_run)}
    expected = {
        (row["path"], row["label"], *(float(row[edge]) for edge in ("x_min", "y_min", "x_max", "y_max")))
        for row in given
        if row["label"]
    }
    assert boxes == expected


def test_scores_are_those_of_the_saved_detections(shapes_run: Path) -> None:
    sheet = DetectionSheet.model_validate(read_json(shapes_run / "scores.json"))
    assert sheet.test is not None
    paths = [row.path for row in PICTURES.read(shapes_run) if row.side == "test"]
    labels = load_detector(shapes_run).labels
    truth = [row for row in BOXES.read(shapes_run) if row.side == "test"]
    found = DETECTIONS.read(shapes_run)
    matches = match(
        true_boxes(
            [paths.index(row.path) for row in truth],
            [labels.index(row.label) for row in truth],
            [row.corners for row in truth],
        ),
        detections(
            [paths.index(row.path) for row in found],
            [labels.index(row.label) for row in found],
            [row.corners for row in found],
            [row.score for row in found],
        ),
        images=len(paths),
        classes=len(labels),
    )
    assert sheet.test.map50 is not None
    expected = average_precision(matches, sizes=["all"])[:, 0, 0].mean()
    assert sheet.test.map50.value == pytest.approx(expected, abs=0.02)  # without the boxes below .01
    assert sheet.test.map50.value > 0.5
    assert sheet.baseline is not None


def test_thresholds_and_ladder_are_those_of_the_detector(shapes_run: Path) -> None:
    detector = load_detector(shapes_run)
    rows = THRESHOLDS.read(shapes_run)
    assert [row.label for row in rows] == list(detector.labels)
    assert [row.threshold for row in rows] == pytest.approx(detector.thresholds)
    ladder = LadderRecord.model_validate(read_json(shapes_run / "ladder.json"))
    tried = [(row.name, row.measure) for row in ladder.rows if row.took_s is not None]
    assert tried == [("grid", "map50"), ("regions", "map50")]
