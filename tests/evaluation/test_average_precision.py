from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from regraft.evaluation.average_precision import (
    average_precision,
    interpolated_precision,
    mean_over_classes,
    precision_curve,
    recall,
)
from regraft.evaluation.boxes import detections, true_boxes
from tests.evaluation.box_sets import BoxSet, drawn, reference, repeated

LIBRARIES = {
    "pycocotools": ("pycocotools.coco", "pycocotools.cocoeval", "COCOeval"),
    "faster-coco-eval": ("faster_coco_eval", "faster_coco_eval", "COCOeval_faster"),
}
BOX = [0.0, 0, 10, 10]
FAR = [50.0, 50, 60, 60]


def one_class(truth: list[int], found: list[tuple[int, list[float], float]], images: int) -> BoxSet:
    """A data set whose true boxes are all BOX, in these images."""
    numbers, corners, scores = zip(*found, strict=True) if found else ((), (), ())
    return BoxSet(
        true_boxes(truth, [0] * len(truth), [BOX] * len(truth)),
        detections(numbers, [0] * len(found), np.reshape(corners, (-1, 4)), scores),
        images,
        1,
    )


@pytest.mark.parametrize("sets", [15, pytest.param(200, marks=pytest.mark.soak)])
@pytest.mark.parametrize("library", LIBRARIES)
def test_results_agree_with_the_reference_on_unusual_data(library: str, sets: int) -> None:
    module, evaluation, name = LIBRARIES[library]
    missing = f"{library} is not installed: pip install -e .[development]"
    coco: Any = pytest.importorskip(module, reason=missing)
    evaluate = getattr(importlib.import_module(evaluation), name)
    for seed in range(sets):
        data = drawn(seed)
        expected, matches = reference(data, coco, evaluate), data.matches()
        precision, found = average_precision(matches)[0], recall(matches)[0]
        by_size = np.moveaxis(expected.precision[..., 2].mean(axis=1), 2, 0)
        np.testing.assert_allclose(precision, by_size, rtol=0, atol=1e-12, err_msg=f"seed {seed}")
        by_number = np.transpose(expected.recall, (3, 2, 0, 1))
        np.testing.assert_allclose(found, by_number, rtol=0, atol=1e-12, err_msg=f"seed {seed}")
        for number in range(data.classes):
            curve = precision_curve(matches, number, iou=0.6, size="medium")[0]
            np.testing.assert_allclose(curve, expected.precision[2, :, number, 2, 2], rtol=0, atol=1e-12)


def test_a_perfect_detector_has_one() -> None:
    data = one_class([0, 1], [(0, BOX, 0.9), (1, BOX, 0.4)], 2)
    assert average_precision(data.matches())[0, 0] == pytest.approx(np.ones((10, 1)))


def test_detections_before_the_right_one_lower_precision() -> None:
    data = one_class([0], [(0, FAR, 0.9), (0, BOX, 0.4)], 1)
    assert average_precision(data.matches())[0, 0, 0, 0] == pytest.approx(0.5)


def test_half_of_the_boxes_reach_half_of_the_recalls() -> None:
    data = one_class([0, 1], [(0, BOX, 0.9)], 2)
    assert average_precision(data.matches())[0, 0, 0, 0] == pytest.approx(51 / 101)


def test_no_detection_has_zero_and_no_true_box_is_not_defined() -> None:
    assert average_precision(one_class([0], [], 1).matches())[0, 0, 0, 0] == 0
    assert np.isnan(average_precision(one_class([], [(0, BOX, 0.5)], 1).matches())).all()
    assert np.isnan(average_precision(one_class([], [], 0).matches())).all()


@pytest.mark.parametrize("seed", range(40))
def test_counts_equal_literal_repetition(seed: int) -> None:
    data = drawn(seed, are_ties=False)
    counts = np.random.default_rng(seed).integers(0, 4, (3, data.images))
    matches = data.matches()
    for values, again, curve in zip(
        average_precision(matches, counts.astype(float)),
        recall(matches, counts.astype(float)),
        precision_curve(matches, 0, counts.astype(float)),
        strict=True,
    ):
        literal = repeated(data, counts[0]).matches()
        np.testing.assert_allclose(values, average_precision(literal)[0], rtol=0, atol=1e-13)
        np.testing.assert_allclose(again, recall(literal)[0], rtol=0, atol=1e-13)
        np.testing.assert_allclose(curve, precision_curve(literal, 0)[0], rtol=0, atol=1e-13)
        counts = counts[1:]


@pytest.mark.parametrize("seed", range(20))
def test_repeating_all_images_changes_nothing(seed: int) -> None:
    data = drawn(seed, are_ties=False)
    twice = repeated(data, np.full(data.images, 2))
    for measure in (average_precision, recall):
        np.testing.assert_allclose(measure(twice.matches()), measure(data.matches()), rtol=0, atol=1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_images_and_boxes_changes_nothing(seed: int) -> None:
    data, generator = drawn(seed, are_ties=False), np.random.default_rng(seed)
    new = generator.permutation(data.images)
    rows = generator.permutation(len(data.found))
    truth, found = data.truth, data.found
    moved = BoxSet(
        true_boxes(
            new[truth.images], truth.classes, truth.corners, is_crowd=truth.is_crowd, areas=truth.areas
        ),
        detections(new[found.images[rows]], found.classes[rows], found.corners[rows], found.scores[rows]),
        data.images,
        data.classes,
    )
    for measure in (average_precision, recall):
        np.testing.assert_allclose(measure(moved.matches()), measure(data.matches()), rtol=0, atol=1e-13)


def test_many_draws_equal_each_draw_alone() -> None:
    data = drawn(5, images=30)
    counts = np.random.default_rng(0).integers(0, 3, (600, data.images)).astype(float)
    together = average_precision(data.matches(), counts)
    for draw in (0, 299, 599):
        alone = average_precision(data.matches(), counts[draw : draw + 1])[0]
        np.testing.assert_allclose(together[draw], alone, rtol=0, atol=1e-14)


def test_the_mean_of_a_curve_is_its_average_precision() -> None:
    matches = drawn(11).matches()
    table = average_precision(matches)[0, 0, 0]
    curves = [precision_curve(matches, number)[0].mean() for number in range(matches.classes)]
    np.testing.assert_allclose(curves, table, atol=1e-13)


def test_precision_at_all_recalls_of_a_list() -> None:
    is_right = np.array([True, False, False, True, False])
    assert interpolated_precision(is_right, 2) == pytest.approx((51 * 1 + 50 * 0.5) / 101)
    assert interpolated_precision(np.zeros(3, bool), 2) == 0


def test_classes_without_true_boxes_are_left_out_of_the_mean() -> None:
    assert mean_over_classes(np.array([[1.0, np.nan, 0.0]])).tolist() == [0.5]
