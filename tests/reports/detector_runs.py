"""Run folders of detectors that do not exist: true boxes, and boxes that are made from them with noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from regraft.detection.detectors.run_files import DetectionRun, DetectionSheet
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
    ThresholdRow,
    corners_of,
)
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.detection_scores import DetectionScores, score_detections
from regraft.evaluation.matching import Matches, match
from regraft.evaluation.operating_points import f1_threshold
from regraft.records import Estimate, Side, WeightsSource
from regraft.runs.records import LadderRecord, RungRow
from regraft.runs.writing import write_ladder
from regraft.storage.files import sha256_of_file, write_atomically, write_json
from regraft.storage.tables import csv_bytes

SIDES: tuple[Side, ...] = ("test", "validation", "train")
LABELS = ("cell", "crystal")
COLOURS = {"cell": "#a8324a", "crystal": "#3fb6a8"}


@dataclass
class DetectorRunFolder:
    """What a run's folder is made of; a test changes what it is about, then writes it."""

    root: Path
    pictures: list[PictureRow]
    boxes: list[BoxRow]
    found: list[DetectionRow]
    labels: tuple[str, ...] = LABELS
    thresholds: tuple[float, ...] | None = None
    """None for those with the largest F1."""
    suspects: list[SuspectRow] = field(default_factory=list)
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    draws: int = 100

    def write(self, folder: Path) -> Path:
        """Write all files of the run."""
        folder.mkdir(parents=True)
        there = {row.side for row in self.pictures}
        side = next(side for side in SIDES if side in there)
        matches = self._matches(side)
        chosen = self.thresholds or tuple(f1_threshold(matches, n) for n in range(len(self.labels)))
        scores = self._scores(matches, chosen, "held-out pictures")
        PICTURES.write(folder, self.pictures)
        BOXES.write(folder, self.boxes)
        DETECTIONS.write(folder, self.found)
        SUSPECTS.write(folder, self.suspects)
        rows = zip(self.labels, chosen, scores.classes, strict=True)
        THRESHOLDS.write(folder, [ThresholdRow.of(label, value, one.point) for label, value, one in rows])
        sheet = DetectionSheet(
            task="detection", baseline=self._baseline(side),
            test=scores if side == "test" else None, validation=None if side == "test" else scores,
        )  # fmt: skip
        write_json(folder / "scores.json", sheet.model_dump(mode="json"))
        write_ladder(folder, ladder(sheet))
        split = [
            (row.path, "|".join(self.labels[:1]), row.side, row.path, row.sha256) for row in self.pictures
        ]
        write_atomically(folder / "split.csv", csv_bytes(("path", "label", "side", "group", "sha256"), split))
        write_atomically(folder / "findings.csv", csv_bytes(("kind", "message", "paths"), self.findings))
        write_json(folder / "run.json", run_record(self.root).model_dump(mode="json"))
        return folder

    def _matches(self, side: Side, found: Sequence[DetectionRow] | None = None) -> Matches:
        places = {row.path: n for n, row in enumerate(row for row in self.pictures if row.side == side)}
        numbers = {label: n for n, label in enumerate(self.labels)}
        boxes = [row for row in self.boxes if row.side == side]
        rows = [row for row in (self.found if found is None else found) if row.side == side]
        truth = true_boxes(
            [places[row.path] for row in boxes], [numbers[row.label] for row in boxes], corners_of(boxes),
            is_crowd=[row.is_crowd for row in boxes], is_ignored=[row.is_difficult for row in boxes],
        )  # fmt: skip
        boxes_found = detections(
            [places[row.path] for row in rows], [numbers[row.label] for row in rows], corners_of(rows),
            [row.score for row in rows],
        )  # fmt: skip
        return match(truth, boxes_found, images=len(places), classes=len(self.labels))

    def _scores(self, matches: Matches, thresholds: Sequence[float], method: str) -> DetectionScores:
        return score_detections(matches, self.labels, np.array(thresholds), method=method, draws=self.draws)

    def _baseline(self, side: Side) -> DetectionScores:
        """The mean box of each class, in every picture."""
        rows = []
        for label in self.labels:
            corners = corners_of(row for row in self.boxes if row.label == label)
            if len(corners):
                edges = [float(edge) for edge in corners.mean(axis=0)]
                rows += [
                    DetectionRow(one.path, one.side, label, 0.5, *edges)
                    for one in self.pictures
                    if one.side == side
                ]
        matches = self._matches(side, rows)
        return self._scores(matches, [0.5] * len(self.labels), "average boxes")


def ladder(sheet: DetectionSheet) -> LadderRecord:
    """A ladder of four rungs that ends at the run's scores."""
    best = sheet.test or sheet.validation
    assert best is not None
    top = best.map50.value if best.map50 else 0.0
    base = sheet.baseline.map50 if sheet.baseline else None
    shares = ((0.0, base.value if base else 0.0), (0.7, 0.7 * top), (0.8, 0.8 * top), (1.0, top))
    names = ("average boxes", "grid", "regions", "one-stage")
    rows = [
        RungRow(
            rung=number, name=name, measure="map50", images=best.images,
            accuracy=Estimate(value=value, low=max(0.0, value - 0.05), high=min(1.0, value + 0.05)),
            predicted_s=None if not number else 12.0 * number, took_s=14.0 * number,
            elapsed_s=1 + 25.0 * number**1.6, is_kept=number != 2,
            verdict="the trivial baseline" if not number else "better with probability 99 %",
        )
        for number, (name, (_, value)) in enumerate(zip(names, shares, strict=True))
    ]  # fmt: skip
    return LadderRecord(budget_s=300, rows=tuple(rows))


def run_record(root: Path) -> DetectionRun:
    return DetectionRun(
        task="detection", regraft_version="0", data_root=str(root),
        settings={"network": "mobilenetv1_100", "seed": 0, "budget": 300},
        detector="one-stage", split_sha256="0" * 64,
        weights=WeightsSource(where="a file", sha256="1" * 64, licence="apache-2.0"),
        lineage=("ImageNet", "this data set"), reasons=("decided canvas 512 x 384 because boxes are small",),
        versions={"torch": "2.11"},
    )  # fmt: skip


def drawn_set(root: Path, count: int = 12, seed: int = 0) -> tuple[list[PictureRow], list[BoxRow]]:
    """Pictures with drawn discs and squares, and the boxes around them; a third trains, the last is empty."""
    generator = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    pictures, boxes = [], []
    for number in range(count):
        width, height = (int(side) for side in generator.integers(160, 320, 2))
        image = Image.new("RGB", (width, height), (232, 222, 216))
        pen, path = ImageDraw.Draw(image), f"cell_{number:03d}.png"
        side: Side = "train" if number % 3 == 2 else "test"
        for _ in range(int(generator.integers(1, 7)) if number < count - 1 else 0):
            label = str(generator.choice(LABELS, p=[0.7, 0.3]))
            size = float(generator.integers(14, 60))
            x, y = (float(generator.integers(0, length - size)) for length in (width, height))
            shape = pen.ellipse if label == "cell" else pen.rectangle
            shape((x, y, x + size, y + size), fill=COLOURS[label])
            boxes.append(BoxRow(path, side, label, x, y, x + size, y + size))
        image.save(root / path)
        pictures.append(PictureRow(path, side, width, height, sha256_of_file(root / path)))
    return pictures, boxes


def noisy(
    pictures: Sequence[PictureRow], boxes: Sequence[BoxRow], labels: Sequence[str], *, seed: int = 0,
    spread: float = 0.06, lost: float = 0.1, wrong: float = 0.04, false: float = 2.0,
) -> list[DetectionRow]:  # fmt: skip
    """Detections as a fair detector would make them: moved, dropped, doubled, confused, and out of the blue.

    Args:
        pictures: detections are made for those that do not train.
        boxes: the true boxes.
        labels: all classes.
        seed: random seed.
        spread: standard deviation of each edge, in sides of the box.
        lost: share of the boxes that are not found.
        wrong: share of those that get another class.
        false: mean number of false boxes in a picture.
    """
    generator = np.random.default_rng(seed)
    sizes = {row.path: (row.width, row.height) for row in pictures}
    rows = []
    for box in boxes:
        if box.side == "train" or generator.random() < lost:
            continue
        copies = 2 if generator.random() < 0.05 else 1
        for copy in range(copies):
            label = str(generator.choice(labels)) if generator.random() < wrong else box.label
            score = float(generator.beta(6, 2) if not copy else generator.beta(2, 4))
            moved = _moved(box, spread * (1 + 2 * copy) * (1.6 - score), sizes[box.path], generator)
            rows.append(DetectionRow(box.path, box.side, label, _score(score), *moved))
    for row in (one for one in pictures if one.side != "train" and boxes):
        for _ in range(generator.poisson(false)):
            box = boxes[int(generator.integers(len(boxes)))]
            width, height = box.x_max - box.x_min, box.y_max - box.y_min
            x = float(generator.uniform(0, max(1, row.width - width)))
            y = float(generator.uniform(0, max(1, row.height - height)))
            score = _score(float(generator.beta(1.2, 5)))
            rows.append(DetectionRow(row.path, row.side, box.label, score, x, y, x + width, y + height))
    return sorted(rows, key=lambda row: (row.path, -row.score))


def _score(value: float) -> float:
    return round(min(0.999, max(0.01, value)), 4)


def _moved(
    box: BoxRow, spread: float, size: tuple[int, int], generator: np.random.Generator
) -> tuple[float, float, float, float]:
    sides = np.array([box.x_max - box.x_min, box.y_max - box.y_min] * 2)
    edges = np.array(box.corners) + generator.normal(0, spread, 4) * sides
    low = np.clip(np.minimum(edges[:2], edges[2:]), 0, size)
    high = np.clip(np.maximum(edges[:2], edges[2:]), 0, size)
    return tuple(round(float(edge), 2) for edge in (*low, *high))  # type: ignore[return-value]


def suspects_of(boxes: Sequence[BoxRow], found: Sequence[DetectionRow], count: int = 6) -> list[SuspectRow]:
    """The surest detections and some true boxes, as if they were suspects."""
    sure = sorted(found, key=lambda row: -row.score)[:count]
    forgotten = [
        SuspectRow(one.path, one.side, one.label, one.score, *one.corners, "forgotten") for one in sure
    ]
    lost = [
        SuspectRow(one.path, one.side, one.label, None, *one.corners, "not found") for one in boxes[:count]
    ]
    return forgotten + lost


def square(x: float, y: float, side: float = 10.0) -> tuple[float, float, float, float]:
    return x, y, x + side, y + side


def counted_by_hand(root: Path) -> DetectorRunFolder:
    """Two pictures in which every kind of error but one occurs once, at a threshold of one half.

    Of three cells and two crystals, a cell and a crystal are found; a cell has a poor box and one has none; a
    crystal is shown as a cell. One box is a duplicate and one is on the background.
    """
    pictures = [
        PictureRow(path, "test", 100, 100, digit * 64) for path, digit in (("a.png", "a"), ("b.png", "b"))
    ]
    boxes = [
        BoxRow("a.png", "test", "cell", *square(0, 0)),
        BoxRow("a.png", "test", "cell", *square(20, 0)),
        BoxRow("a.png", "test", "crystal", *square(40, 0)),
        BoxRow("a.png", "test", "cell", *square(60, 0)),
        BoxRow("b.png", "test", "crystal", *square(0, 0)),
    ]
    found = [
        DetectionRow("a.png", "test", "cell", 0.9, *square(0, 0)),
        DetectionRow("a.png", "test", "cell", 0.8, 0, 0, 10, 9),
        DetectionRow("a.png", "test", "cell", 0.7, *square(40, 0)),
        DetectionRow("a.png", "test", "crystal", 0.6, *square(0, 50)),
        DetectionRow("a.png", "test", "cell", 0.55, 60, 0, 64, 10),
        DetectionRow("a.png", "test", "cell", 0.3, *square(20, 0)),
        DetectionRow("b.png", "test", "crystal", 0.9, *square(0, 0)),
    ]
    return DetectorRunFolder(root, pictures, boxes, found, thresholds=(0.5, 0.5))
