from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.detectors.calibration import Calibration, fit_calibration
from regraft.detection.maps.found import Found
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.matching import Matches, match


def matches_of(scores: np.ndarray, hits: np.ndarray, classes: np.ndarray) -> Matches:
    """One box in each picture, on the object there or beside it."""
    count = len(scores)
    truth = true_boxes(np.arange(count), classes, [[0, 0, 10, 10]] * count)
    boxes = np.where(hits[:, None], [[0, 0, 10, 10]], [[50, 50, 60, 60]])
    found = detections(np.arange(count), classes, boxes, scores)
    return match(truth, found, images=count, classes=int(classes.max()) + 1)


def probabilities(calibration: Calibration, scores: np.ndarray, label: int = 0) -> np.ndarray:
    corners = np.zeros((len(scores), 4))
    return calibration.of(Found.of(corners, [label] * len(scores), scores)).scores


def test_probabilities_are_the_shares_of_right_boxes() -> None:
    generator = np.random.default_rng(0)
    scores, classes = generator.uniform(0.05, 0.95, 5_000), generator.integers(0, 2, 5_000)
    odds = 2.0 * np.log(scores / (1 - scores)) + np.array([-1.0, 1.5])[classes]
    hits = generator.uniform(size=5_000) < 1 / (1 + np.exp(-odds))
    found = fit_calibration(matches_of(scores, hits, classes))
    assert found.slope == pytest.approx(2.0, abs=0.2)
    assert found.intercepts == pytest.approx((-1.0, 1.5), abs=0.2)


@pytest.mark.parametrize("is_right_with_large_scores", [True, False], ids=["useful", "reversed"])
def test_it_is_increasing_whatever_was_right(is_right_with_large_scores: bool) -> None:
    scores = np.linspace(0.02, 0.98, 200)
    hits = (scores > 0.5) == is_right_with_large_scores
    found = fit_calibration(matches_of(scores, hits, np.zeros(200, np.int64)))
    assert (np.diff(probabilities(found, scores[::-1])) < 0).all()


def test_scores_that_mislead_become_the_share_of_right_boxes() -> None:
    scores = np.linspace(0.02, 0.5, 200)
    hits = np.arange(200) < 40  # the least certain fifth
    found = fit_calibration(matches_of(scores, hits, np.zeros(200, np.int64)))
    assert probabilities(found, scores).mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["none right", "all right"])
def test_it_is_defined_where_all_boxes_are_alike(share: float) -> None:
    scores = np.full(20, 0.3)
    found = fit_calibration(matches_of(scores, np.full(20, bool(share)), np.zeros(20, np.int64)))
    assert probabilities(found, scores) == pytest.approx(share, abs=0.05)


def test_scores_that_tell_right_from_wrong_exactly_give_probabilities() -> None:
    scores = np.array([0.500, 0.501] * 500)
    found = fit_calibration(matches_of(scores, scores > 0.5005, np.zeros(1000, np.int64)))
    assert probabilities(found, np.array([1.0, 0.0])) == pytest.approx([1, 0], abs=1e-5)


def test_nothing_found_leaves_scores_alone() -> None:
    nothing = match(
        true_boxes([0], [0], [[0, 0, 9, 9]]), detections([], [], np.zeros((0, 4)), []), images=1, classes=1
    )
    found = fit_calibration(nothing)
    assert probabilities(found, np.array([0.9, 0.3])) == pytest.approx([0.9, 0.3])
