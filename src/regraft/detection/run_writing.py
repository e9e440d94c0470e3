"""The folder of a detector's run: what was done, how good the detector is, and the detector itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.dataset import BoxedDataset
from regraft.detection.detectors.bundle import save_detector
from regraft.detection.detectors.records import DetectionRun
from regraft.detection.detectors.run_tables import (
    BOXES,
    DETECTIONS,
    PICTURES,
    SUSPECTS,
    THRESHOLDS,
    BoxRow,
    DetectionRow,
    PictureRow,
    SuspectRow,
)
from regraft.detection.detectors.thresholds import LEAST_PROBABILITY
from regraft.detection.maps.found import Found
from regraft.detection.maps.scenes import Scene
from regraft.detection.outcome import DetectionOutcome, Judged
from regraft.evaluation.boxes import overlaps
from regraft.evaluation.detection_scores import DetectionScores
from regraft.records import Estimate, Side
from regraft.runs.writing import draw_ladder, write_ladder, write_skipped
from regraft.storage.files import make_folder, write_atomically, write_json
from regraft.storage.tables import csv_bytes

EVERY_SIDE: tuple[Side, ...] = ("train", "validation", "test")
_OPTIONAL = (
    "metrics.jsonl",
    "metrics.csv",
    "stages.csv",
    "report.html",
    "ladder.svg",
    "plan.toml",
    "predictions.csv",
    "confusion.csv",
)
_SUSPECT_SCORE = 0.5
_SUSPECT_IOU = 0.3
_MOST_SUSPECTS = 500


def write_detection_run(
    folder: Path, run: DetectionRun, outcome: DetectionOutcome, *, is_final: bool
) -> None:
    """Write all files of a run; `run.json` is written last, so a run without it is unfinished."""
    make_folder(folder)
    (folder / "run.json").unlink(missing_ok=True)  # the folder may now contain files of two fits
    dataset, detector = outcome.dataset, outcome.detector
    save_detector(detector, folder / "bundle")
    _write_split(folder, dataset)
    PICTURES.write(folder, _pictures(dataset))
    BOXES.write(folder, box_rows(dataset))
    DETECTIONS.write(folder, _detections(outcome))
    SUSPECTS.write(folder, suspects(outcome))
    THRESHOLDS.write(folder, outcome.thresholds)
    assert detector.scores is not None
    write_json(folder / "scores.json", detector.scores.model_dump(mode="json"))
    rows = [
        row
        for name in ("test", "validation", "baseline")
        for row in _measures(name, getattr(detector.scores, name))
    ]
    header = ("set", "measure", "class", "value", "low", "high", "images")
    write_atomically(folder / "scores.csv", csv_bytes(header, rows))
    write_skipped(folder / "skipped.csv", dataset.images)
    findings = [(one.kind, one.message, " | ".join(one.paths)) for one in dataset.images.findings]
    write_atomically(folder / "findings.csv", csv_bytes(("kind", "message", "paths"), findings))
    for name in _OPTIONAL:  # left by an earlier run or rung in this folder
        (folder / name).unlink(missing_ok=True)
    if outcome.history is not None:
        outcome.history.write(folder)
    write_ladder(folder, outcome.ladder)
    if is_final:
        draw_ladder(folder, outcome.ladder)
    write_json(folder / "run.json", run.model_dump(mode="json"))


def _write_split(folder: Path, dataset: BoxedDataset) -> None:
    split = dataset.split
    write_json(folder / "split.json", split.model_dump(mode="json", exclude={"rows", "history"}))
    rows = [(row.path, row.label, row.side, row.group, row.sha256) for row in split.rows]
    write_atomically(folder / "split.csv", csv_bytes(("path", "label", "side", "group", "sha256"), rows))


def _pictures(dataset: BoxedDataset) -> Iterator[PictureRow]:
    for side in EVERY_SIDE:
        pictures = dataset.pictures(side)
        for one, group in zip(pictures, dataset.groups(pictures), strict=True):
            named = "" if group == one.sha256 else group
            yield PictureRow(one.path, side, one.width, one.height, one.sha256, named)


def box_rows(dataset: BoxedDataset) -> Iterator[BoxRow]:
    """The true boxes of the classes that the detector knows."""
    for side in EVERY_SIDE:
        for one in dataset.pictures(side):
            for box in (box for box in one.boxes if box.label in dataset.labels):
                corners = (box.x_min, box.y_min, box.x_max, box.y_max)
                yield BoxRow(one.path, side, box.label, *corners, box.is_crowd, box.is_difficult)


def _detections(outcome: DetectionOutcome) -> Iterator[DetectionRow]:
    judged, labels = outcome.shown, outcome.dataset.labels
    side = _side(outcome, judged)
    for scene, found in zip(judged.scenes, judged.found, strict=True):
        for corners, number, score in zip(found.corners, found.classes, found.scores, strict=True):
            if score >= LEAST_PROBABILITY:
                yield DetectionRow(
                    scene.path, side, labels[number], round(float(score), 6), *_rounded(corners)
                )


def _side(outcome: DetectionOutcome, judged: Judged) -> Side:
    if outcome.test is judged:
        return "test"
    trained = {one.path for one in outcome.dataset.pictures("train")}
    return "train" if all(scene.path in trained for scene in judged.scenes) else "validation"


def _rounded(corners: npt.NDArray[Any]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(float(edge), 3) for edge in corners)
    return left, top, right, bottom


def suspects(outcome: DetectionOutcome) -> list[SuspectRow]:
    """Annotations that may be wrong, the most suspicious first: forgotten objects, and boxes on nothing.

    They come from pictures that the detector was not fitted on.
    """
    rows: list[SuspectRow] = []
    for judged in filter(None, (outcome.validation, outcome.test)):
        side = _side(outcome, judged)
        for scene, found in zip(judged.scenes, judged.found, strict=True):
            rows += _forgotten(scene, found, side, outcome)
            rows += _not_found(scene, found, side, outcome)
    rows.sort(key=lambda row: (-_suspicion(row), row.path))
    return rows[:_MOST_SUSPECTS]


def _suspicion(row: SuspectRow) -> float:
    score = row.score or 0.0
    return score if row.kind == "forgotten" else 1.0 - score


def _forgotten(scene: Scene, found: Found, side: Side, outcome: DetectionOutcome) -> Iterator[SuspectRow]:
    """Probable boxes that overlap with no annotated box."""
    probable = found.above(_SUSPECT_SCORE)
    shares = overlaps(probable.corners, scene.corners) if len(probable) else np.zeros((0, 0))
    for place in range(len(probable)):
        if not len(scene.corners) or shares[place].max() < _SUSPECT_IOU:
            label = outcome.dataset.labels[int(probable.classes[place])]
            score = round(float(probable.scores[place]), 6)
            yield SuspectRow(scene.path, side, label, score, *_rounded(probable.corners[place]), "forgotten")


def _not_found(scene: Scene, found: Found, side: Side, outcome: DetectionOutcome) -> Iterator[SuspectRow]:
    """Annotated boxes with which no box of any class overlaps, whatever its score."""
    if not len(scene.corners):
        return
    shares = overlaps(scene.corners, found.corners) if len(found) else np.zeros((len(scene.corners), 1))
    for place in np.flatnonzero((shares.max(axis=1) < _SUSPECT_IOU) & ~scene.is_ignored):
        own = found.scores[found.classes == scene.classes[place]]
        label = outcome.dataset.labels[int(scene.classes[place])]
        largest = round(float(own.max()), 6) if len(own) else None
        yield SuspectRow(scene.path, side, label, largest, *_rounded(scene.corners[place]), "not found")


def _measures(name: str, scores: DetectionScores | None) -> Iterator[Sequence[Any]]:
    """The rows of `scores.csv` for one set of pictures."""
    if scores is None:
        return
    for field in DetectionScores.model_fields:
        value = getattr(scores, field)
        if isinstance(value, Estimate):
            yield name, field, "", value.value, value.low, value.high, scores.images
    for label, point, each in [("", scores.point, None), *((o.label, o.point, o) for o in scores.classes)]:
        for field in ("map", "map50", "map75") if each else ():
            value = getattr(each, field)
            if value is not None:
                yield name, field, label, value.value, value.low, value.high, scores.images
        for field in ("precision", "recall", "f1"):
            value = getattr(point, field)
            if value is not None:
                yield name, field, label, value.value, value.low, value.high, scores.images
