"""The exported graph shows images as the loader does, to the bit, in every framing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import regraft
from regraft.data.pictures.framing import FRAMINGS
from regraft.data.pictures.loading import Picture, fit_input
from regraft.export.export import export_model
from regraft.export.graphs import crop_graph
from regraft.machine.inference import openvino_core
from regraft.prediction.onnx_graph import saved
from regraft.records import Framing, InputSpec, Interpolation

# 152 and 153 rows of 108 are near where Pillow changes the order of its passes for 64 pixels.
SIZES = [
    (1, 1), (1, 50), (50, 1), (2, 3), (31, 97), (64, 64), (96, 64), (64, 96), (300, 400), (108, 152),
    (108, 153), (152, 108), (767, 511), (50, 2000), (2000, 50), (9, 700),
]  # fmt: skip


def spec_of(framing: Framing, rule: Interpolation = "bicubic", channels: int = 3) -> InputSpec:
    one = (0.485,) * channels
    return InputSpec(size_px=64, framing=framing, interpolation=rule, channels=channels, mean=one, std=one)


def shown(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """What the loader makes of decoded pixels."""
    image, bands = Image.fromarray(pixels[..., :3]), ()
    if spec.channels not in (1, 3):
        bands = tuple(Image.fromarray(pixels[..., number]) for number in range(spec.channels))
    return fit_input(Picture(image, bands, "PNG", image.width, image.height, ()), spec)


RULES: list[tuple[Interpolation, int]] = [
    ("nearest", 3), ("bilinear", 3), ("bicubic", 3), ("lanczos", 3), ("bicubic", 1), ("bilinear", 4)
]  # fmt: skip


@pytest.mark.parametrize(("rule", "channels"), RULES)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_graph_frames_as_the_loader_does(framing: Framing, rule: Interpolation, channels: int) -> None:
    spec = spec_of(framing, rule, channels)
    session = onnxruntime.InferenceSession(saved(crop_graph(spec)))
    for width, height in SIZES:
        bands = 3 if channels == 1 else channels
        pixels = np.random.default_rng(0).integers(0, 256, (2, height, width, bands), dtype=np.uint8)
        (found,) = session.run(None, {"images": pixels})
        for number in range(2):
            assert np.array_equal(found[number], shown(pixels[number], spec)), (width, height)


@pytest.mark.slow
def test_openvino_frames_within_one_level() -> None:
    """Its kernels compute double precision in single, so a few values differ by one level."""
    spec = spec_of("pad")
    compiled = openvino_core().compile_model(openvino_core().read_model(saved(crop_graph(spec)), b""), "CPU")
    for width, height in ((300, 400), (96, 64), (31, 97), (64, 64)):
        pixels = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
        gap = np.abs(compiled(pixels)[0][0].astype(int) - shown(pixels[0], spec).astype(int))
        assert gap.max() <= 1
        assert (gap > 0).mean() < 0.01


@pytest.mark.slow
def test_an_export_predicts_as_its_padded_model(digits: Path, tmp_path: Path) -> None:
    regraft.fit(digits, out=tmp_path / "run", network="lenet5", strategy="probe", framing="pad")
    done = export_model(tmp_path / "run", tmp_path / "exported")
    model, exported = regraft.load_model(tmp_path / "run"), regraft.load_model(done.folder)
    images = [
        np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8) for size in ((20, 90), (90, 20))
    ]
    for one, other in zip(model.predict(images), exported.predict(images), strict=True):
        assert np.abs(one.probabilities - other.probabilities).max() <= 1e-4
    assert "puts it into the middle of a square" in (done.folder / "README.md").read_text()
