from __future__ import annotations

import numpy as np
import pytest

from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.matching import Matches, match
from regraft.evaluation.operating_points import f1_threshold, goal_threshold, operating_points
from regraft.evaluation.resampling import bootstrap_counts
from regraft.goal import Goal, GoalMeasure
from tests.evaluation.box_sets import BoxSet, drawn

BOX, FAR = [0.0, 0, 10, 10], [50.0, 50, 60, 60]


def counts(matches: Matches) -> np.ndarray:
    return next(bootstrap_counts(matches.images, draws=200, seed=0))


def shown(data: BoxSet, threshold: float, number: int) -> tuple[int, int, int]:
    """Right, wrong and missed of a class when only these detections are matched."""
    rows = data.found.scores >= threshold
    found = data.found
    less = detections(found.images[rows], found.classes[rows], found.corners[rows], found.scores[rows])
    matches = match(data.truth, less, images=data.images, classes=data.classes)
    outcome = matches.outcomes[0, 0, matches.rows(number)]
    right = int((outcome == 1).sum())
    total = int((matches.is_counted[0] & (matches.true_classes == number)).sum())
    return right, int((outcome == 0).sum()), total - right


def f1(right: int, wrong: int, missed: int) -> float:
    return 2 * right / max(2 * right + wrong + missed, 1)


@pytest.mark.parametrize("seed", range(12))
def test_points_equal_matching_only_what_is_shown(seed: int) -> None:
    data = drawn(seed)
    matches = data.matches()
    for threshold in (0.0, 0.35, 0.5, 0.8):
        _, points = operating_points(matches, np.full(data.classes, threshold), counts(matches))
        for number, point in enumerate(points):
            assert (point.right, point.wrong, point.missed) == shown(data, threshold, number)


@pytest.mark.parametrize("seed", range(12))
def test_no_threshold_has_a_larger_f1(seed: int) -> None:
    data = drawn(seed)
    matches = data.matches()
    for number in range(data.classes):
        best = f1(*shown(data, f1_threshold(matches, number), number))
        every = [f1(*shown(data, score, number)) for score in np.unique(data.found.scores)]
        assert best == pytest.approx(max(every, default=0.0))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("measure", ["recall", "precision"])
@pytest.mark.parametrize("value", [0.2, 0.6, 1.0])
def test_no_threshold_meets_a_goal_with_more_of_the_other_share(
    seed: int, measure: GoalMeasure, value: float
) -> None:
    data = drawn(seed)
    goal = Goal(measure, value)

    def shares(threshold: float) -> tuple[float, float]:
        right, wrong, missed = shown(data, threshold, 0)
        both = right / max(right + missed, 1), right / max(right + wrong, 1)
        return both if measure == "recall" else (both[1], both[0])

    every = [shares(score) for score in np.unique(data.found.scores)]
    wanted, other = shares(goal_threshold(data.matches(), goal, 0))
    most = max((one for one, _ in every), default=0.0)
    assert wanted >= min(value, most) - 1e-9
    assert other == pytest.approx(max((b for a, b in every if a >= min(value, most) - 1e-9), default=0.0))


def test_thresholds_for_goals_by_hand() -> None:
    truth = true_boxes([0, 1, 2, 3], [0] * 4, [BOX] * 4)
    found = detections([0, 0, 1, 1, 2], [0] * 5, [BOX, FAR, BOX, FAR, BOX], [0.9, 0.8, 0.7, 0.4, 0.2])
    matches = match(truth, found, images=4, classes=1)  # right, wrong, right, wrong, right; one is missed
    expected = {
        "recall=0.25": 0.85,
        "recall=0.5": 0.55,
        "recall=0.75": 0.1,
        "recall=0.95": 0.1,  # .75 is the best that there is
        "precision=0.6": 0.1,  # 3 of 5
        "precision=1": 0.85,
    }
    chosen = {text: goal_threshold(matches, Goal.parse(text), 0) for text in expected}
    assert chosen == pytest.approx(expected)


def test_a_point_by_hand() -> None:
    truth = true_boxes([0, 1, 2], [0, 0, 0], [BOX, BOX, BOX])
    found = detections([0, 0, 1, 2], [0] * 4, [BOX, FAR, BOX, BOX], [0.9, 0.8, 0.7, 0.2])
    matches = match(truth, found, images=3, classes=1)
    together, (point,) = operating_points(matches, np.array([0.5]), counts(matches))
    assert together == point
    assert point.threshold == 0.5
    assert point.precision is not None
    assert point.precision.value == pytest.approx(2 / 3)
    assert point.recall is not None
    assert point.recall.value == pytest.approx(2 / 3)
    assert point.f1 is not None
    assert point.f1.low is not None
    assert point.f1.low <= 2 / 3 <= (point.f1.high or 0)


def test_nothing_shown_has_no_precision_and_nothing_there_no_recall() -> None:
    truth = true_boxes([0], [0], [BOX])
    found = detections([0], [1], [BOX], [0.4])
    matches = match(truth, found, images=1, classes=2)
    _, (first, second) = operating_points(matches, np.array([0.5, 0.3]), counts(matches))
    assert first.precision is None
    assert first.recall is not None
    assert first.recall.value == 0
    assert second.recall is None
    assert second.precision is not None
    assert f1_threshold(matches, 1) == 0.5
    assert goal_threshold(matches, Goal("recall", 0.5), 0) == 0.5
    assert goal_threshold(matches, Goal("recall", 0.5), 1) == 0.5


def test_classes_at_different_thresholds_share_none() -> None:
    matches = drawn(4, images=5).matches()
    together, _ = operating_points(matches, np.linspace(0.2, 0.7, matches.classes), counts(matches))
    assert together.threshold is None


def test_a_threshold_separates_scores_that_are_next_to_each_other() -> None:
    upper = np.nextafter(0.5, 1)
    found = detections([0, 0], [0, 0], [BOX, FAR], [upper, 0.5])
    matches = match(true_boxes([0], [0], [BOX]), found, images=1, classes=1)
    assert f1_threshold(matches) == upper
