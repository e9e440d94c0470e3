"""A detector as a torch module finds what the detector finds, which computes with numpy."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from PIL import Image

from regraft.detection.detectors.calibration import Calibration
from regraft.detection.detectors.detector import LEAST_PROBABILITY, Detector
from regraft.detection.graph.detect import Chances, Detect, halved
from regraft.detection.maps.canvas import Placement, on_canvas
from regraft.detection.maps.found import Found
from regraft.features.extraction import as_half
from regraft.features.runtimes import Row
from tests.detection.graph.kinds import KINDS

SIZES = [(96, 64), (640, 480), (50, 2000), (1, 1), (31, 97)]


def found_by(module: Detect, row: Row, size: tuple[int, int]) -> Found:
    """What the part of the module after the network finds, as probabilities."""
    rows, picture = torch.from_numpy(row[None]), torch.tensor(size, dtype=torch.float32)
    with torch.inference_mode():
        corners, classes, scores = module.finder(halved(rows), picture)
        chances = module.chances(scores, classes)
    there = scores >= 0
    return Found.of(corners[there], classes[there], chances[there])


@pytest.mark.parametrize("kind", KINDS)
def test_the_module_finds_the_boxes_of_the_finder(
    kind: str, detectors: Mapping[str, Detector], shapes_rows: Row
) -> None:
    detector = detectors[kind]
    module, counts = Detect(detector), 0
    for number, row in enumerate(shapes_rows):
        size = SIZES[number % len(SIZES)]
        [expected] = detector.on_maps([row], [Placement(*size, 96, 64)])
        found = found_by(module, row, size)
        assert found.corners == pytest.approx(expected.corners, abs=1e-3 * max(1, size[0] / 96))
        assert found.classes.tolist() == expected.classes.tolist()
        assert found.scores == pytest.approx(expected.scores, abs=1e-5)
        counts += len(found)
    assert counts > 18


def test_the_whole_module_lists_what_is_probable_the_most_probable_first(
    detectors: Mapping[str, Detector],
) -> None:
    detector = detectors["two-stage"]
    file = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    canvas, placement = on_canvas(file.getvalue(), detector.weights.input_spec)
    size = torch.tensor([placement.width, placement.height], dtype=torch.float32)
    with torch.inference_mode():
        boxes, labels, scores = Detect(detector)(torch.from_numpy(canvas[None]), size)
    assert (boxes.dtype, labels.dtype, scores.dtype) == (torch.float32, torch.int64, torch.float32)
    assert len(boxes) == len(labels) == len(scores) > 1
    assert (scores >= LEAST_PROBABILITY).all()
    assert (scores[:-1] >= scores[1:]).all()
    assert (boxes >= 0).all()
    assert (boxes[:, 2] <= 70).all()
    assert (boxes[:, 3] <= 60).all()


def test_maps_are_rounded_as_they_are_kept() -> None:
    values = np.random.default_rng(0).normal(0, 3, 5_000).astype(np.float32)
    values[:4] = 1e9, -1e9, 1e-8, 65_520
    rounded = halved(torch.from_numpy(values)).numpy()
    assert np.array_equal(rounded, as_half(values).astype(np.float32))
    assert not np.array_equal(rounded, values)


def test_probabilities_are_those_of_the_calibration() -> None:
    calibration = Calibration(slope=1.7, intercepts=(-1.0, 2.0))
    scores, classes = np.array([0.0, 0.01, 0.5, 0.99, 1.0], np.float32), np.array([0, 1, 0, 1, 0])
    found = Chances(calibration)(torch.from_numpy(scores), torch.from_numpy(classes))
    expected = calibration.of(Found(np.zeros((5, 4)), classes, scores.astype(np.float64)))
    assert np.sort(found.numpy())[::-1] == pytest.approx(expected.scores, abs=1e-9)
