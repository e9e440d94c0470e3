from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regraft.errors import DataError
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.matching import Matches, match
from regraft.evaluation.paired_detectors import compare_detectors
from tests.evaluation.box_sets import drawn

IMAGES = 60
BOXES = np.tile([0.0, 0, 10, 10], (IMAGES, 1))


def finder(share: float, seed: int) -> Matches:
    """A detector that finds each of 60 boxes with this probability."""
    rows = np.flatnonzero(np.random.default_rng(seed).random(IMAGES) < share)
    truth = true_boxes(np.arange(IMAGES), [0] * IMAGES, BOXES)
    found = detections(rows, [0] * len(rows), BOXES[rows], np.linspace(0.9, 0.5, len(rows)))
    return match(truth, found, images=IMAGES, classes=1)


def test_equal_detectors_cannot_be_told_apart() -> None:
    one = drawn(3, images=6).matches()
    result = compare_detectors(one, one)
    assert result.chance_better == 0.5
    assert not result.differs
    assert result.difference.value == result.difference.low == result.difference.high == 0


def test_exchanging_the_detectors_changes_the_sign() -> None:
    one, other = finder(0.9, 0), finder(0.5, 1)
    there, back = (compare_detectors(*pair, measure="map50") for pair in ((one, other), (other, one)))
    assert there.difference.value == -back.difference.value
    assert there.difference.low == pytest.approx(-(back.difference.high or 0))
    assert there.chance_better == pytest.approx(1 - back.chance_better)
    assert there.differs


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(100):
        result = compare_detectors(finder(0.8, seed), finder(0.7, 1_000 + seed), measure="map50", draws=300)
        low, high = result.difference.low, result.difference.high
        covered += low is not None and high is not None and low <= 0.1 <= high
    assert 88 <= covered <= 99


def test_equal_detectors_rarely_differ() -> None:
    results = [
        compare_detectors(finder(0.8, seed), finder(0.8, 1_000 + seed), measure="map50", draws=300)
        for seed in range(100)
    ]
    assert sum(result.differs for result in results) <= 12


def test_different_true_boxes_are_refused() -> None:
    with pytest.raises(DataError, match="matched with different true boxes: true_images differs"):
        compare_detectors(drawn(1, images=8).matches(), drawn(2, images=8).matches())


def test_no_true_boxes_are_refused() -> None:
    nothing = match(true_boxes([], [], []), detections([], [], [], []), images=2, classes=1)
    with pytest.raises(DataError, match="no true box counts, so there is nothing to compare"):
        compare_detectors(nothing, nothing)


def test_the_difference_of_groups_is_as_uncertain_as_their_number_says() -> None:
    groups = np.arange(IMAGES) // 10  # six of ten images
    one, other = (replace(finder(share, seed), groups=groups) for share, seed in ((0.9, 0), (0.6, 1)))
    result = compare_detectors(one, other, measure="map50", draws=300)
    plain = compare_detectors(replace(one, groups=None), other, measure="map50", draws=300)
    assert result.difference.value == plain.difference.value
    assert result.difference.low != plain.difference.low
    single = compare_detectors(replace(one, groups=np.zeros(IMAGES, np.int64)), other, draws=300)
    assert not single.differs
    assert single.difference.low is None
