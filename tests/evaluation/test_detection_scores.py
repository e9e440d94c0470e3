from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.detection_scores import DetectionScores, score_detections
from regraft.evaluation.matching import match
from regraft.records import Estimate
from tests.evaluation.box_sets import BoxSet, drawn, reference

SIZES = ("small", "medium", "large")
NAMES = [
    *("map", "map50", "map75"),
    *(f"map_{size}" for size in SIZES),
    *(f"recall_{most}" for most in (1, 10, 100)),
    *(f"recall_{size}" for size in SIZES),
]


def scored(data: BoxSet, *, seed: int = 0) -> DetectionScores:
    labels = [str(number) for number in range(data.classes)]
    return score_detections(
        data.matches(), labels, np.full(data.classes, 0.5), method="test", seed=seed, draws=100
    )


def test_the_twelve_numbers_agree_with_the_reference() -> None:
    coco: Any = pytest.importorskip("pycocotools.coco", reason="pip install -e .[development]")
    evaluation: Any = pytest.importorskip("pycocotools.cocoeval")
    for seed in range(30):
        data = drawn(seed)
        scores = scored(data)
        values = [getattr(scores, name) for name in NAMES]
        ours = [np.nan if value is None else value.value for value in values]
        expected = reference(data, coco, evaluation.COCOeval).stats
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12, err_msg=f"seed {seed}")


def test_every_interval_contains_its_value() -> None:
    scores = scored(drawn(7, images=40))
    values = [value for value in dict(scores).values() if isinstance(value, Estimate)]
    values += [value for one in scores.classes for value in dict(one).values() if isinstance(value, Estimate)]
    assert len(values) > 12
    for value in values:
        assert value.low is not None
        assert value.high is not None
        assert value.low <= value.value <= value.high


def test_a_class_without_true_boxes_is_not_defined() -> None:
    data = next(data for data in map(drawn, range(20)) if data.classes > 1)
    last = scored(data).classes[-1]
    assert last.true_boxes == 0
    assert last.map is None
    assert last.point.recall is None


def test_the_seed_decides_the_intervals() -> None:
    data = drawn(7, images=40)
    assert scored(data, seed=1) == scored(data, seed=1)
    assert scored(data, seed=1) != scored(data, seed=2)


def test_a_record_survives_json() -> None:
    scores = scored(drawn(7, images=40))
    assert DetectionScores.model_validate_json(scores.model_dump_json()) == scores


def copied(data: BoxSet, times: int) -> tuple[BoxSet, np.ndarray]:
    """Every image several times, and the number of the image that each is a copy of."""
    truth, found = (
        replace(
            boxes,
            **{
                field.name: np.concatenate([getattr(boxes, field.name)] * times)
                for field in fields(boxes)
                if field.name != "images"
            },
            images=np.concatenate([boxes.images + data.images * copy for copy in range(times)]),
        )
        for boxes in (data.truth, data.found)
    )
    groups = np.tile(np.arange(data.images), times)
    return BoxSet(truth, found, times * data.images, data.classes), groups


def interval(data: BoxSet, groups: np.ndarray | None) -> DetectionScores:
    labels = [str(number) for number in range(data.classes)]
    return score_detections(
        data.matches(groups), labels, np.full(data.classes, 0.5), method="copies", draws=400
    )


def test_copies_of_images_make_no_interval_narrower_if_they_are_a_group() -> None:
    plain = drawn(7, images=40, are_ties=False)
    many, groups = copied(plain, 4)
    alone, grouped, apart = interval(plain, None), interval(many, groups), interval(many, None)
    for name in ("map50", "map_medium"):
        widths = [getattr(one, name).high - getattr(one, name).low for one in (alone, grouped, apart)]
        assert widths[1] == pytest.approx(widths[0], rel=0.15)  # drawing 40 groups of 4, or 40 images
        assert widths[2] < 0.7 * widths[0]
    widths = [one.point.recall.high - one.point.recall.low for one in (alone, grouped, apart)]  # type: ignore[union-attr]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)
    assert widths[2] < 0.7 * widths[0]
    assert grouped.method == "copies, by group (40 groups)"
    assert apart.method == "copies"


def test_a_single_group_has_no_interval() -> None:
    data = drawn(7, images=5)
    scores = interval(data, np.zeros(5, np.int64))
    assert scores.map50 is not None
    assert (scores.map50.low, scores.map50.high) == (None, None)


def test_eight_perfect_pictures_do_not_prove_a_perfect_detector() -> None:
    images = np.arange(8)
    corners = np.tile([0.0, 0, 40, 40], (8, 1))
    truth = true_boxes(images, np.where(images < 5, 0, 1), corners)
    found = detections(images, truth.classes, corners, np.full(8, 0.9))
    for groups, count, first in ((None, 8, 5), (images // 2, 4, 3)):
        matches = match(truth, found, images=8, classes=2, groups=groups)
        scores = score_detections(matches, ["a", "b"], np.full(2, 0.5), method="test", draws=100)
        for estimate, units in (
            *((one, count) for one in (scores.map, scores.map50, scores.map_medium, scores.point.recall)),
            *((one, first) for one in (scores.classes[0].map, scores.classes[0].point.precision)),
        ):
            assert estimate is not None
            assert (estimate.value, estimate.high) == (1.0, pytest.approx(1.0))
            assert estimate.low == pytest.approx(units / (units + 1.959964**2))  # Wilson's with no mistake
