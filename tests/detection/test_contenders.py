from __future__ import annotations

import numpy as np
import pytest

from regraft.detection.contenders import Contender, chance_better, compared, map50_estimate
from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.found import Found
from regraft.detection.maps.scenes import Scene
from regraft.detection.solved.baseline import average_boxes
from regraft.evaluation.paired_detectors import DetectorComparison
from regraft.records import Estimate


def scene(number: int, corners: list[list[float]], classes: list[int], width: int = 100) -> Scene:
    none = np.zeros(len(classes), bool)
    boxes = np.array(corners, float).reshape(-1, 4)
    place = Placement(width, 100, 96, 64)
    return Scene(f"{number:064x}", f"{number}.png", place, boxes, np.array(classes, np.int64), none, none)


def comparison(value: float, error: float) -> DetectorComparison:
    difference = Estimate(value=value, low=value - 1.96 * error, high=value + 1.96 * error)
    return DetectorComparison(
        images=9, measure="map", first=value, second=0.0, difference=difference, chance_better=0.5
    )


@pytest.mark.parametrize(("value", "error"), [(0.05, 0.02), (-0.03, 0.05), (0.0, 0.01)], ids=str)
def test_the_chance_is_the_share_of_the_posterior_above_zero(value: float, error: float) -> None:
    generator = np.random.default_rng(0)
    truths = generator.normal(0, 0.05, 2_000_000)
    weights = np.exp(-((value - truths) ** 2) / (2 * error**2))
    expected = weights[truths > 0].sum() / weights.sum()
    assert chance_better(comparison(value, error), 0.05) == pytest.approx(expected, abs=0.005)


def test_without_an_interval_nothing_is_known() -> None:
    result = comparison(0.3, 0.1).model_copy(update={"difference": Estimate(value=0.3)})
    assert chance_better(result, 0.05) == 0.5


def contender(name: str, scenes: list[Scene], shift: float) -> Contender:
    found = tuple(Found.of(one.corners + shift, one.classes, [0.9] * len(one.classes)) for one in scenes)
    return Contender(name, None, tuple(scenes), found, "")  # type: ignore[arg-type]


def test_contenders_are_compared_on_the_pictures_that_both_know() -> None:
    scenes = [scene(number, [[10, 10, 50, 50]], [0]) for number in range(12)]
    exact, shifted = contender("exact", scenes[::-1], 0.0), contender("shifted", scenes[:8], 6.0)
    result = compared(shifted, exact, 1, seed=0)
    assert (result.images, result.second) == (8, pytest.approx(1.0))
    # 34 x 34 of 2 x 40 x 40 - 34 x 34 square pixels: IoU .566, so right at .50 and .55 of ten
    assert result.first == pytest.approx(0.2)
    assert map50_estimate(shifted.matches(1), seed=0).value == pytest.approx(1.0)  # type: ignore[union-attr]


def test_pictures_without_boxes_have_no_average_precision() -> None:
    only = contender("empty", [scene(0, [], [])], 0.0)
    assert map50_estimate(only.matches(2), seed=0) is None


def test_average_boxes_are_the_same_share_of_every_picture() -> None:
    training = [scene(n, [[10, 20, 30, 40]], [1]) for n in range(3)] + [scene(3, [], [])]
    [one, wide] = average_boxes(training, [scene(8, [], []), scene(9, [], [], width=200)], 2)
    assert one.corners[0] == pytest.approx([10, 20, 30, 40])
    assert wide.corners[0] == pytest.approx([20, 20, 60, 40])
    assert (one.classes.tolist(), one.scores.tolist()) == ([1], [0.75])


def test_average_boxes_are_the_middles_of_clusters() -> None:
    boxes = [
        [0, 0, 10, 10],
        [80, 80, 90, 90],
        [2, 0, 12, 10],
        [82, 80, 92, 90],
        [1, 0, 11, 10],
        [0, 1, 10, 11],
    ]
    training = [scene(n, boxes[3 * n : 3 * n + 3], [0] * 3) for n in range(2)]
    [found] = average_boxes(training, [scene(9, [], [])], 1)
    assert len(found) == 3  # as many as a picture has
    near = (found.corners[:, 0] < 20).sum()
    assert near in (1, 2)
    assert found.scores.max() == 1.0


def test_ignored_boxes_are_no_average() -> None:
    one = scene(0, [[0, 0, 9, 9]], [0])
    ignored = Scene(one.key, one.path, one.placement, one.corners, one.classes, ~one.is_ignored, one.is_crowd)
    [found] = average_boxes([ignored], [one], 1)
    assert len(found) == 0
