"""A detector as an ONNX graph in a file."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch

from regraft.detection.detectors.detector import Detector
from regraft.detection.graph.detect import Detect
from regraft.prediction.onnx_graph import saved, traced
from regraft.storage.files import write_atomically

INPUTS = ("canvas", "picture")
"""Pixels on the canvas `(1, height, width, channels) uint8`; width and height of the upright picture."""
OUTPUTS = ("boxes", "labels", "scores")
"""`(N, 4) float32`, `(N,) int64` and `(N,) float32`; see `Detect`."""


def detect_graph(detector: Detector) -> onnx.ModelProto:
    """From pixels on the canvas and the size of the picture to boxes; see `Detect`."""
    example = torch.zeros(1, *detector.weights.input_spec.shape, dtype=torch.uint8)
    size = torch.tensor([640.0, 480.0])
    return traced(Detect(detector), (example, size), inputs=INPUTS, outputs=OUTPUTS)


def write_detect_graph(detector: Detector, path: Path) -> Path:
    """Write what a detector computes after a picture lies on the canvas as an ONNX file.

    Its inputs are `canvas`, `(1, height, width, channels) uint8` as `on_canvas` makes it, and `picture`,
    `(2,) float32`, width and height of the upright picture. Its outputs are `boxes`, `(N, 4) float32`,
    corners in pixels of the upright picture; `labels`, `(N,) int64`; and `scores`, `(N,) float32`,
    probabilities from .01 on, the largest first.

    Raises:
        ImportError: the libraries that write ONNX files are not installed.
    """
    write_atomically(path, saved(detect_graph(detector)))
    return path
