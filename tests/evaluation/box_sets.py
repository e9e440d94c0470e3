"""Random data sets with boxes, and what COCO's own evaluation code says about them."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.evaluation.boxes import Detections, TrueBoxes, detections, true_boxes
from regraft.evaluation.matching import Matches, match

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class BoxSet:
    truth: TrueBoxes
    found: Detections
    images: int
    classes: int

    def matches(self, groups: npt.NDArray[np.int64] | None = None) -> Matches:
        return match(self.truth, self.found, images=self.images, classes=self.classes, groups=groups)


def drawn(
    seed: int, *, are_ties: bool = True, images: int | None = None, crowds: float = 0.1, most: int = 150
) -> BoxSet:
    """A data set with all that is unusual: crowds, ties, exact overlaps, empty images, boxes without area.

    Some images have more than 100 detections; the last class has no true box, the one before no detection.
    """
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 9)) if images is None else images
    classes = int(generator.integers(1, 5))
    size = int(generator.integers(0, 20 * count))
    numbers = generator.integers(0, max(1, count - 1), size)  # the last image has no true box
    kinds = generator.integers(0, max(1, classes - 1), size)
    low = generator.integers(0, 60, (size, 2)).astype(float)
    sides = generator.choice([0, 4, 8, 10, 20, 32, 40, 96, 120], (size, 2), p=[0.02] + [0.98 / 8] * 8)
    corners = np.concatenate([low, low + sides], axis=1)
    truth = true_boxes(
        numbers,
        kinds,
        corners,
        is_crowd=generator.random(size) < crowds,
        areas=generator.uniform(0, 12_000, size) if seed % 3 == 0 else None,
    )
    return BoxSet(truth, _found(generator, truth, count, classes, are_ties, most), count, classes)


def _found(
    generator: np.random.Generator, truth: TrueBoxes, images: int, classes: int, are_ties: bool, most: int
) -> Detections:
    """Detections near true boxes, exactly on them, and anywhere."""
    size = int(generator.integers(0, most + 1)) * (1 + images // 4)
    numbers = generator.integers(0, images, size)
    kinds = generator.integers(0, classes, size)
    corners = generator.integers(0, 60, (size, 4)).astype(float)
    corners[:, 2:] += corners[:, :2]
    if len(truth) and size:
        of = generator.integers(0, len(truth), size)
        is_near = generator.random(size) < 0.8
        shift = generator.integers(-2, 3, (size, 4)) * generator.choice([0.0, 0.5, 1.0, 3.3], (size, 1))
        near = truth.corners[of] + shift
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
        corners = np.where(is_near[:, None], near, corners)
        numbers = np.where(is_near, truth.images[of], numbers)
        kinds = np.where(generator.random(size) < 0.7, truth.classes[of], kinds)
    scores = generator.permutation(size) / max(size, 1)
    return detections(numbers, kinds, corners, np.round(scores, 1) if are_ties else scores)


@dataclass(frozen=True)
class Reference:
    """What pycocotools, or a library with its interface, computes; NaN where it says -1."""

    precision: Floats
    """`(T, R, K, A, M)`."""
    recall: Floats
    """`(T, K, A, M)`."""
    stats: Floats
    """`(12,)`."""


def reference(data: BoxSet, coco: ModuleType, evaluation: type[Any]) -> Reference:
    """Evaluate with COCO's interface: `coco` is the module with the class COCO."""
    truth, found = coco.COCO(), coco.COCO()
    shared = {
        "images": [{"id": number + 1} for number in range(data.images)],
        "categories": [{"id": number + 1, "name": str(number)} for number in range(data.classes)],
    }
    truth.dataset = {**shared, "annotations": _annotations(data.truth)}
    found.dataset = {**shared, "annotations": _annotations(data.found)}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found.createIndex()
        result = evaluation(truth, found, "bbox")
        result.evaluate()
        result.accumulate()
        result.summarize()
    precision, recall = (
        np.where(np.asarray(result.eval[name]) < 0, np.nan, result.eval[name])
        for name in ("precision", "recall")
    )
    stats = np.array(result.stats[:12], dtype=float)
    return Reference(precision, recall, np.where(stats < 0, np.nan, stats))


def _annotations(boxes: TrueBoxes | Detections) -> list[dict[str, Any]]:
    sides = boxes.corners[:, 2:] - boxes.corners[:, :2]
    areas = boxes.areas if isinstance(boxes, TrueBoxes) else sides[:, 0] * sides[:, 1]
    rows: list[dict[str, Any]] = [
        {
            "id": number + 1,
            "image_id": int(boxes.images[number]) + 1,
            "category_id": int(boxes.classes[number]) + 1,
            "bbox": [*boxes.corners[number, :2].tolist(), *sides[number].tolist()],
            "area": float(areas[number]),
            "iscrowd": int(isinstance(boxes, TrueBoxes) and boxes.is_crowd[number]),
        }
        for number in range(len(boxes))
    ]
    if isinstance(boxes, Detections):
        return [{**row, "score": float(score)} for row, score in zip(rows, boxes.scores, strict=True)]
    return rows


def repeated(data: BoxSet, counts: npt.NDArray[np.int64]) -> BoxSet:
    """The data set in which image i is there `counts[i]` times, copies next to each other."""
    starts = np.cumsum(counts) - counts

    def copies(images: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        rows = np.repeat(np.arange(len(images)), counts[images])
        own = np.arange(len(rows)) - np.searchsorted(rows, rows)
        return rows, starts[images[rows]] + own

    true_rows, true_images = copies(data.truth.images)
    rows, images = copies(data.found.images)
    truth, found = data.truth, data.found
    return BoxSet(
        true_boxes(
            true_images,
            truth.classes[true_rows],
            truth.corners[true_rows],
            is_crowd=truth.is_crowd[true_rows],
            is_ignored=truth.is_ignored[true_rows],
            areas=truth.areas[true_rows],
        ),
        detections(images, found.classes[rows], found.corners[rows], found.scores[rows]),
        int(counts.sum()),
        data.classes,
    )
