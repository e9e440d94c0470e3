from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.trained.head import Seen
from regraft.detection.training.objective import DetectionObjective, picture_precision
from regraft.detection.training.targets import padded
from regraft.evaluation.average_precision import average_precision, mean_over_classes
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.matching import match


def seen(*boxes: tuple[float, ...]) -> Seen:
    """Boxes as `(score, class, left, top, right, bottom)`."""
    rows = np.array(boxes, dtype=np.float32).reshape(-1, 6)
    return Seen(rows[:, 2:], rows[:, 1].astype(np.int64), rows[:, 0])


def test_a_perfect_picture_has_precision_one() -> None:
    targets = padded([[[0, 0, 0, 10, 10], [1, 20, 0, 30, 10]]])
    found = [seen((0.9, 0, 0, 0, 10, 10), (0.2, 1, 20, 0, 30, 10))]
    assert picture_precision(found, targets, 2) == pytest.approx([1.0])


def test_a_class_that_is_not_found_counts_half_of_two() -> None:
    targets = padded([[[0, 0, 0, 10, 10], [1, 20, 0, 30, 10]]])
    assert picture_precision([seen((0.9, 0, 0, 0, 10, 10))], targets, 5) == pytest.approx([0.5])


def test_a_picture_without_boxes_wants_small_scores() -> None:
    targets = padded([np.zeros((0, 5)), np.zeros((0, 5))])
    found = [seen((0.3, 0, 0, 0, 10, 10), (0.2, 1, 20, 0, 30, 10)), seen()]
    assert picture_precision(found, targets, 2) == pytest.approx([0.7, 1.0])


def test_what_is_found_in_an_ignored_region_does_not_count() -> None:
    box, region = [0, 0, 0, 10, 10], [-2, 40, 40, 80, 80]
    found = [seen((0.95, 0, 50, 50, 60, 60), (0.9, 0, 0, 0, 10, 10))]
    assert picture_precision(found, padded([[box, region]]), 2) == pytest.approx([1.0])
    assert picture_precision(found, padded([[box]]), 2)[0] < 0.6


def test_each_picture_has_the_precision_that_it_has_alone() -> None:
    draws = np.random.default_rng(0)
    rows, found = [], []
    for _ in range(6):
        low = draws.uniform(0, 60, (4, 2))
        boxes = np.concatenate(
            [draws.integers(0, 3, (4, 1)), low, low + draws.uniform(9, 30, (4, 2))], axis=1
        )
        rows.append(boxes)
        near = boxes[:, 1:] + draws.normal(0, 2, (4, 4))
        found.append(seen(*np.column_stack([draws.random(4), boxes[:, :1], near]).tolist()))
    expected = []
    for boxes, one in zip(rows, found, strict=True):
        truth = true_boxes(np.zeros(4), boxes[:, 0], boxes[:, 1:])
        matches = match(
            truth, detections(np.zeros(4), one.classes, one.corners, one.scores), images=1, classes=3
        )
        value = mean_over_classes(average_precision(matches, sizes=["all"])[0, 0].mean(axis=0))
        expected.append(float(value))
    assert picture_precision(found, padded(rows), 3) == pytest.approx(expected, abs=1e-6)


def test_progress_names_the_measure() -> None:
    measure = DetectionObjective.measured(0.5)
    assert (measure.name, measure.text, measure.is_share) == ("average_precision_per_picture", "0.5", False)
