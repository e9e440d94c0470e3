from __future__ import annotations

import numpy as np
import pytest

from regraft.evaluation.average_precision import RECALLS, average_precision, mean_over_classes, recall
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.detection_errors import FATES, KINDS, DetectionErrors, detection_errors
from regraft.evaluation.matching import match
from tests.evaluation import naive_errors
from tests.evaluation.box_sets import drawn

BOX, POOR, FAR = [0.0, 0, 10, 10], [0.0, 0, 10, 4], [50.0, 50, 60, 60]


def errors(
    true: list[tuple[int, list[float]]],
    found: list[tuple[int, list[float]]],
    *,
    is_crowd: list[bool] | None = None,
) -> DetectionErrors:
    """The errors in one image with two classes, detections in order of score."""
    truth = true_boxes(
        [0] * len(true),
        [number for number, _ in true],
        np.reshape([box for _, box in true], (-1, 4)),
        is_crowd=is_crowd,
    )
    boxes = detections(
        [0] * len(found),
        [number for number, _ in found],
        np.reshape([box for _, box in found], (-1, 4)),
        np.linspace(0.9, 0.1, len(found)),
    )
    return detection_errors(match(truth, boxes, images=1, classes=2), truth, boxes)


@pytest.mark.parametrize(
    ("found", "kind", "fate"),
    [
        ((0, BOX), "right", "found"),
        ((1, BOX), "wrong class", "correctable"),
        ((0, POOR), "poor box", "correctable"),
        ((0, [0.0, 0, 10, 1]), "poor box", "correctable"),
        ((1, POOR), "both", "missed"),
        ((0, FAR), "background", "missed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_kind_is_recognised(found: tuple[int, list[float]], kind: str, fate: str) -> None:
    result = errors([(0, BOX)], [found])
    assert [KINDS[number] for number in result.kinds] == [kind]
    assert [FATES[number] for number in result.fates] == [fate]


def test_a_second_detection_is_a_duplicate() -> None:
    result = errors([(0, BOX)], [(0, BOX), (0, BOX)])
    assert result.count("duplicate") == 1
    assert result.targets.tolist() == [0, 0]


def test_detections_in_a_crowd_are_ignored() -> None:
    result = errors([(0, BOX)], [(0, BOX)], is_crowd=[True])
    assert result.count("ignored") == 1
    assert [FATES[number] for number in result.fates] == ["ignored"]
    assert result.costs is None


def test_costs_by_hand() -> None:
    """Class 0 has precision 1/2 for its one box; class 1 misses its box by a poor one."""
    result = errors([(0, BOX), (1, FAR)], [(0, [80.0, 80, 90, 90]), (0, BOX), (1, [50.0, 50, 60, 54])])
    costs = result.costs
    assert costs is not None
    assert costs.map50 == pytest.approx(0.25)
    assert costs.background == pytest.approx(0.25)
    assert costs.poor_box == pytest.approx(0.5)
    assert costs.false_positives == pytest.approx(0.25)
    assert (costs.wrong_class, costs.duplicate, costs.missed, costs.both) == (0, 0, 0, 0)


def test_correcting_a_class_gives_the_box_to_the_best_detection_alone() -> None:
    result = errors([(0, BOX)], [(1, BOX), (1, BOX), (0, FAR)])
    assert result.costs is not None
    assert result.costs.wrong_class == pytest.approx(1.0)


def test_a_class_of_which_everything_is_missed_costs_its_share() -> None:
    result = errors([(0, BOX), (1, FAR)], [(0, BOX)])
    assert result.missed == 1
    assert result.costs is not None
    assert result.costs.missed == pytest.approx(0.5)
    assert result.costs.false_negatives == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(30))
def test_errors_agree_with_average_precision_and_recall(seed: int) -> None:
    data = drawn(seed)
    matches = data.matches()
    result = detection_errors(matches, data.truth, data.found)
    assert result.count("right") == (matches.outcomes[0, 0] == 1).sum() == (result.fates == 0).sum()
    wrong = sum(result.count(kind) for kind in KINDS if kind not in ("right", "ignored"))
    assert wrong == (matches.outcomes[0, 0] == 0).sum()
    if result.costs is None:
        return
    table = average_precision(matches)[0, 0, 0]
    assert result.costs.map50 == pytest.approx(mean_over_classes(table), abs=1e-12)
    shares = recall(matches)[0, -1, 0, 0]
    shares = shares[~np.isnan(shares)]
    reached = [(share >= RECALLS).mean() if share else 0.0 for share in shares]
    assert result.costs.map50 + result.costs.false_positives == pytest.approx(np.mean(reached), abs=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_targets_overlap_as_their_kind_says(seed: int) -> None:
    data = drawn(seed)
    result = detection_errors(data.matches(), data.truth, data.found)
    for number, (kind, target) in enumerate(zip(result.kinds, result.targets, strict=True)):
        name = KINDS[kind]
        if name in ("right", "poor box", "duplicate", "wrong class"):
            is_same = data.found.classes[number] == data.truth.classes[target]
            assert is_same == (name != "wrong class")
            assert data.found.images[number] == data.truth.images[target]
        if name == "background":
            assert target == -1


@pytest.mark.parametrize("seed", range(40))
def test_kinds_and_costs_agree_with_a_naive_implementation(seed: int) -> None:
    data = drawn(seed, are_ties=False)
    matches = data.matches()
    result = detection_errors(matches, data.truth, data.found)
    for number, (kind, target) in naive_errors.kinds(data, matches).items():
        assert (KINDS[result.kinds[number]], result.targets[number]) == (kind, target)
    if result.costs is not None:
        expected = naive_errors.costs(data, matches)
        assert {name: getattr(result.costs, name) for name in expected} == pytest.approx(expected, abs=1e-9)
