"""The graph puts pictures on the canvas as the loader does, to the bit."""

from __future__ import annotations

import io

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from regraft.detection.maps.canvas import on_canvas
from regraft.export.graphs import letterbox_graph
from regraft.prediction.onnx_graph import saved
from regraft.records import InputSpec, Interpolation

SIZES = [(1, 1), (50, 2000), (2000, 50), (96, 64), (64, 96), (640, 480), (31, 97), (300, 376), (767, 511)]


@pytest.mark.parametrize("channels", [3, 1, 4])
@pytest.mark.parametrize("rule", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_the_canvas_of_the_graph_is_that_of_the_loader(rule: Interpolation, channels: int) -> None:
    one = (0.485,) * channels
    spec = InputSpec(size_px=64, width_px=96, channels=channels, interpolation=rule, mean=one, std=one)
    session = onnxruntime.InferenceSession(saved(letterbox_graph(spec)))
    for width, height in SIZES:
        bands = 3 if channels == 1 else channels
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, bands), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        expected, _ = on_canvas(file.getvalue(), spec)
        canvas, picture = session.run(["canvas", "picture"], {"pixels": pixels})
        assert picture.tolist() == [width, height]
        assert np.array_equal(canvas[0], expected), (width, height)
