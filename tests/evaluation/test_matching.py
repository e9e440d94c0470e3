from __future__ import annotations

import numpy as np
import pytest

from regraft.errors import DataError
from regraft.evaluation.boxes import detections, overlaps, true_boxes
from regraft.evaluation.matching import IGNORED, RIGHT, WRONG, match

BOX = [0.0, 0, 10, 10]
TALL = [0.0, 0, 10, 20]


def outcomes(
    true: list[list[float]],
    found: list[list[float]],
    scores: list[float],
    *,
    size: int = 0,
    is_crowd: list[bool] | None = None,
    is_ignored: list[bool] | None = None,
) -> list[int]:
    """What each detection of one image and class is at IoU .50, in order of score."""
    truth = true_boxes([0] * len(true), [0] * len(true), true, is_crowd=is_crowd, is_ignored=is_ignored)
    boxes = detections([0] * len(found), [0] * len(found), found, scores)
    result: list[int] = match(truth, boxes, images=1, classes=1).outcomes[size, 0].tolist()
    return result


def test_the_larger_score_gets_the_true_box() -> None:
    assert outcomes([BOX], [BOX, BOX], [0.5, 0.9]) == [RIGHT, WRONG]
    truth = true_boxes([0], [0], [BOX])
    found = detections([0, 0], [0, 0], [BOX, BOX], [0.5, 0.9])
    result = match(truth, found, images=1, classes=1)
    assert result.order.tolist() == [1, 0]
    assert result.partners[0].tolist() == [0, -1]


def test_an_overlap_of_exactly_the_threshold_is_enough() -> None:
    assert outcomes([TALL], [BOX], [0.9]) == [RIGHT]


def test_a_crowd_takes_any_number_of_detections_and_none_is_counted() -> None:
    assert outcomes([[0, 0, 50, 50]], [BOX, BOX], [0.9, 0.8], is_crowd=[True]) == [IGNORED, IGNORED]


def test_an_ignored_box_takes_one_detection() -> None:
    assert outcomes([BOX], [BOX, BOX], [0.9, 0.8], is_ignored=[True]) == [IGNORED, WRONG]


def test_a_box_that_counts_is_preferred_to_an_ignored_one() -> None:
    assert outcomes([TALL, BOX], [BOX], [0.9], is_ignored=[False, True]) == [RIGHT]


def test_a_detection_of_another_size_is_not_counted_unless_it_finds_something() -> None:
    large = [0.0, 0, 200, 200]
    assert outcomes([BOX], [large], [0.9], size=1) == [IGNORED]
    assert outcomes([BOX], [large], [0.9], size=3) == [WRONG]
    assert outcomes([[0.0, 0, 32, 32]], [[0.0, 0, 33, 33]], [0.9], size=1) == [RIGHT]


def test_at_most_a_hundred_detections_are_used() -> None:
    assert len(outcomes([BOX], [BOX] * 120, [0.5] * 120)) == 100


def test_boxes_without_area_overlap_with_nothing() -> None:
    point = np.array([[3.0, 3, 3, 3]])
    assert overlaps(point, point).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([4.0, 0, 3, 5], "box 0 is inverted: its edges are 4.0, 0.0, 3.0, 5.0; expected left <= right"),
        ([0.0, 0, np.nan, 5], "box 0 has edges 0.0, 0.0, nan, 5.0; expected four finite numbers"),
    ],
    ids=["inverted", "not a number"],
)
def test_boxes_that_cannot_be_are_refused(box: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        true_boxes([0], [0], [box])


def test_numbers_beyond_the_data_set_are_refused() -> None:
    truth, found = true_boxes([0], [0], [BOX]), detections([2], [0], [BOX], [0.5])
    with pytest.raises(DataError, match="a box is of image number 2, but numbers are below 2"):
        match(truth, found, images=2, classes=1)
    with pytest.raises(DataError, match="the class number of box 0 is -1; expected 0 or more"):
        detections([0], [-1], [BOX], [0.5])


def test_of_two_equal_overlaps_the_last_box_is_taken() -> None:
    left, right, between = [0.0, 0, 10, 10], [6.0, 0, 16, 10], [3.0, 0, 13, 10]
    assert outcomes([left, right], [between, right], [0.9, 0.8]) == [RIGHT, WRONG]
    assert outcomes([left, right], [between, left], [0.9, 0.8]) == [RIGHT, RIGHT]
