from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.detectors.detector import DetectedPicture
from regraft.detection.maps.found import Found
from regraft.errors import ExportError
from regraft.export.detectors.parity import BoxParity, compared_boxes

CANVAS = (96, 64)


def boxes(*scores: float, shift: float = 0.0) -> Found:
    corners = np.array([[10.0 * number, 0, 10 * number + 8, 8] for number in range(len(scores))])
    return Found.of(corners.reshape(-1, 4) + shift, np.zeros(len(scores), np.int64), scores)


def compare(theirs: Found, ours: Found, *, width: int = 96) -> BoxParity:
    picture = DetectedPicture("a.png", width, 64, ours, ours)
    return compared_boxes([theirs], [picture], CANVAS, "pictures")


def test_the_same_boxes_are_paired_and_measured() -> None:
    parity = compare(boxes(0.9, 0.5004, shift=0.004), boxes(0.9, 0.5))
    assert (parity.boxes, parity.at_limit, parity.alone) == (2, 0, 0)
    assert parity.largest_px == pytest.approx(0.004)
    assert parity.largest_score == pytest.approx(0.0004)


def test_edges_are_measured_in_pixels_of_the_canvas_where_the_picture_is_larger() -> None:
    assert compare(boxes(0.9, shift=0.08), boxes(0.9), width=960).largest_px == pytest.approx(0.008)
    assert compare(boxes(0.9, shift=0.08), boxes(0.9)).alone == 2


def test_a_box_at_the_limit_may_be_on_one_side_only() -> None:
    parity = compare(boxes(0.9), boxes(0.9, 0.0105))
    assert (parity.boxes, parity.at_limit, parity.alone) == (1, 1, 0)
    assert "1 more at the limit of 0.01 on one side only" in parity.text


def test_many_boxes_that_differ_are_refused() -> None:
    with pytest.raises(ExportError, match="differs from the detector on 1 pictures: 6 boxes of 6 are found"):
        compare(boxes(0.9, 0.8, 0.7, shift=0.5), boxes(0.9, 0.8, 0.7))


def test_pictures_without_boxes_are_the_same() -> None:
    assert compare(boxes(), boxes()).text.startswith("the same 0 boxes")
