"""The thresholds of a detector: chosen for a goal, kept, and obeyed."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import regraft
from regraft.cli.app import run
from regraft.cli.terminal.finding import Wishes
from regraft.detection.detectors.bundle import load_detector
from regraft.detection.detectors.run_tables import THRESHOLDS
from regraft.detection.detectors.thresholds import (
    FEW_BOXES,
    chosen_thresholds,
    goal_remarks,
    goal_sheet,
    shown_from,
)
from regraft.errors import SettingsError
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.detection_scores import score_detections
from regraft.evaluation.matching import Matches, match
from regraft.goal import Goal
from regraft.progress import Silent
from regraft.reports.detection_report import detection_report
from tests.detection.shapes import SETTINGS

BOX, FAR = [0.0, 0, 10, 10], [50.0, 50, 60, 60]
PICTURES = 40


def common_and_rare() -> Matches:
    """An object of class 0 in each of 40 pictures, of class 1 in four of them, which is never found.

    In each but the last 4 pictures the object of class 0 is found, and a box is wrong whose score is .005
    less; the scores of the next picture are .01 less.
    """
    every, found = np.arange(PICTURES), np.arange(PICTURES - 4)
    scores = [*(1 - found / 100), *(0.995 - found / 100)]
    return match(
        true_boxes([*every, 0, 1, 2, 3], [0] * PICTURES + [1] * 4, [BOX] * PICTURES + [FAR] * 4),
        detections([*found, *found], [0] * 72, [BOX] * 36 + [FAR] * 36, scores),
        images=PICTURES,
        classes=2,
    )


def test_rare_classes_take_the_threshold_of_all_classes() -> None:
    own, shared = chosen_thresholds(common_and_rare(), Goal("recall", 0.5))
    assert own == pytest.approx(0.8075)  # 20 of 40: between the scores .81 and .805
    assert shared == pytest.approx(0.7875)  # 22 of all 44
    assert 4 < FEW_BOXES < PICTURES


def test_no_threshold_is_lower_than_what_is_listed() -> None:
    found = detections([0], [0], [BOX], [0.012])
    matches = match(true_boxes([0], [0], [BOX]), found, images=1, classes=1)
    assert chosen_thresholds(matches, Goal("recall", 1.0)).tolist() == [0.01]


def test_what_is_reached_is_told_with_its_interval() -> None:
    matches, goal = common_and_rare(), Goal("recall", 0.95)
    scores = score_detections(matches, ["disc", "star"], chosen_thresholds(matches, goal), method="by hand")
    sheet = goal_sheet(goal, scores)
    assert [(one.label, one.is_reached) for one in sheet.classes] == [("disc", False), ("star", False)]
    told = list(goal_remarks(sheet))
    assert [is_good for is_good, _ in told] == [False, False]
    assert (
        "recall=0.95 can't be reached for class disc on 40 pictures not trained on: the best is 0.900 ["
        in (told[0][1])
    )
    assert "not reached for class star" in told[1][1]
    assert "with 4 boxes: 0.000 [0.000, 0.490] at the threshold of all classes" in told[1][1]
    lower = goal_sheet(Goal("recall", 0.9), scores)
    assert lower.classes[0].is_reached
    assert next(goal_remarks(lower)) == (True, next(goal_remarks(lower))[1])


@pytest.fixture(scope="module")
def searching(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a fit whose thresholds are to find nine of ten objects."""
    out = tmp_path_factory.mktemp("goals") / "run"
    changes: dict[str, Any] = {**SETTINGS, "budget": "1s"}
    regraft.fit(shapes, goal="recall=0.9", out=out, **changes)
    return out


def test_a_run_says_its_goal_and_what_is_reached(searching: Path) -> None:
    detector = load_detector(searching)
    rows = THRESHOLDS.read(searching)
    assert detector.goal == "recall=0.9"
    assert [row.goal for row in rows] == ["recall=0.9"] * 2
    assert detector.scores is not None
    sheet = detector.scores.goal
    assert sheet is not None
    assert (sheet.measure, sheet.value) == ("recall", 0.9)
    for row, one, threshold in zip(rows, sheet.classes, detector.thresholds, strict=True):
        assert (row.label, row.threshold, row.is_reached) == (one.label, threshold, one.is_reached)
        assert row.estimate("recall") == one.reached
        assert one.is_reached == (one.reached is not None and one.reached.value >= 0.9)
    log = (searching / "log.jsonl").read_text()
    assert "recall=0.9" in log


def test_a_run_without_a_goal_does_not_mention_one(shapes_run: Path) -> None:
    assert load_detector(shapes_run).goal is None
    assert "goal" not in json.loads((shapes_run / "bundle" / "bundle.json").read_text())
    assert "goal" not in json.loads((shapes_run / "run.json").read_text())["settings"]
    assert [(row.goal, row.is_reached) for row in THRESHOLDS.read(shapes_run)] == [("", None)] * 2


def test_a_rate_of_two_classes_is_no_goal_for_boxes(shapes: Path) -> None:
    with pytest.raises(SettingsError, match=r"^goal specificity=0.9 is for two classes of whole images, but"):
        regraft.fit(shapes, goal="specificity=0.9")


def test_names_of_boxes_are_refused_for_classes_of_whole_images(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (32, 32)).save(tmp_path / label / "1.png")
    with pytest.raises(SettingsError, match=r"^classes a,b is for data with boxes \(the classes that a det"):
        regraft.fit(tmp_path, classes=("a", "b"))


LABELS, OWN = ("disc", "a=b", "star"), (0.3, 0.4, 0.5)


@pytest.mark.parametrize(
    ("threshold", "classes", "expected"),
    [
        (None, None, [0.3, 0.4, 0.5]),
        (0.7, None, [0.7, 0.7, 0.7]),
        ({"a=b": 1}, None, [0.3, 1.0, 0.5]),
        ({}, ["star", "disc"], [0.3, np.inf, 0.5]),
        ({"star": 0.0}, ["star,disc"], [0.3, np.inf, 0.0]),
    ],
)
def test_thresholds_by_class(threshold: Any, classes: Any, expected: list[float]) -> None:
    assert shown_from(LABELS, OWN, threshold=threshold, classes=classes).tolist() == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threshold": {"dics": 0.4}}, "threshold names 'dics' (did you mean disc?), which is no class; the"),
        ({"threshold": {"disc": "high"}}, "threshold of disc is 'high'; expected a probability from 0 to 1"),
        ({"threshold": {"disc": True}}, "threshold of disc is True (bool)"),
        ({"classes": "disc"}, "classes is 'disc'; accepted are None and a list of labels"),
        ({"classes": [3]}, "classes is a list; accepted"),
        ({"classes": ["moon"]}, "classes names 'moon', which is no class; the classes are disc, a=b, star"),
    ],
    ids=repr,
)
def test_thresholds_that_make_no_sense_are_explained(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        shown_from(LABELS, OWN, **given)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (None, None),
        (["0.6"], 0.6),
        (["a=b=0.6"], {"a=b": 0.6}),
        (["disc=.4", "0.6"], {"disc": 0.4, "a=b": 0.6, "star": 0.6}),
    ],
    ids=repr,
)
def test_the_command_reads_thresholds_of_classes_and_of_all_others(texts: Any, expected: Any) -> None:
    assert Wishes(threshold=texts).thresholds(LABELS) == expected


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["high"], "--threshold high is not a probability from 0 to 1, such as 0.6, or 0.4 for one class"),
        (["disc=nan"], "--threshold disc=nan is not a probability"),
        (["moon=0.4"], "--threshold names 'moon', which is no class; the classes are disc, a=b, star"),
        (["0.4", "0.5"], "--threshold 0.5 is the second one for all other classes; give one"),
        (["disc=0.4", "disc=0.5"], "--threshold disc=0.5 is the second one for class disc; give one"),
    ],
    ids=repr,
)
def test_the_command_explains_thresholds_that_make_no_sense(texts: list[str], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        Wishes(threshold=texts).thresholds(LABELS)
    assert message in error.value.with_flags


def test_only_the_classes_that_were_named_are_shown_and_counted(
    shapes: Path, shapes_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["predict", shapes_run, shapes / "images", "--count", tmp_path / "counts.csv"]
    chosen = ["--threshold", "square=0.2", "--threshold", "0.3", "--classes", "square"]
    assert run([str(word) for word in [*words, *chosen, "--out", tmp_path / "boxes.csv"]]) == 0
    with (tmp_path / "boxes.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["label"]]
    assert {row["label"] for row in rows} == {"square"}
    assert all(float(row["score"]) >= 0.2 for row in rows)
    header, *_, total = (tmp_path / "counts.csv").read_text().splitlines()
    assert header == "path,boxes,square"
    assert total == f"total,{len(rows)},{len(rows)}"


def test_the_report_says_what_the_thresholds_were_chosen_for(
    searching: Path, shapes_run: Path, tmp_path: Path
) -> None:
    sentence = "so that recall reaches 90"
    page = detection_report(searching, reporter=Silent(), out=tmp_path / "goal.html").read_text()
    assert sentence in page
    assert (
        sentence
        not in detection_report(shapes_run, reporter=Silent(), out=tmp_path / "plain.html").read_text()
    )
