from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from regraft.evaluation.detection_scores import DetectionScores, score_detections
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
