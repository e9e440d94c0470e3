from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

import regraft
from regraft.cli.app import run as command
from regraft.detection.detectors.bundle import save_detector
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.onnx_detector import OnnxDetector
from regraft.detection.maps.found import Found
from regraft.errors import BundleError, ExportError, NoImagesError, SettingsError
from regraft.export import detector_export
from regraft.export.detectors.parity import compared_boxes
from regraft.export.export import Exported, export_model
from regraft.prediction.onnx_model import OnnxModel
from tests.detection.graph.kinds import KINDS
from tests.networks.sample import current_turn

pytestmark = pytest.mark.slow

Export = Callable[[str], Exported]

SOLVED, TRAINED = "regions", ("one-stage", "two-stage")[current_turn() % 2]
"""The kinds that are exported each time: solved regions, which contain a grid, and a trained one by turns."""


@pytest.fixture(scope="module")
def exported(
    shared_graphs: None,
    detectors: Mapping[str, Detector],
    shapes_run: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Export:
    """The ONNX file of each kind, made once: tracing takes ten processor seconds."""

    def export(kind: str) -> Exported:
        folder = tmp_path_factory.mktemp(kind)
        saved = shapes_run if kind == SOLVED else save_detector(detectors[kind], folder / "bundle")
        return export_model(saved, folder / "out")

    return cache(export)


@pytest.fixture
def traced(exported: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports of solved regions start from the graph that `exported` has traced."""
    file = exported(SOLVED).file
    monkeypatch.setattr(
        detector_export._Export, "_graphs", lambda self, place: shutil.copy(file, place / "model.onnx")
    )


def image_file(pixels: Any, kind: str = "PNG", **how: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **how)
    return file.getvalue()


def odd_pictures() -> dict[str, bytes]:
    draws = np.random.default_rng(0)
    sizes = {"1 x 1": (1, 1), "tall": (2000, 50), "wide": (50, 2000), "canvas": (64, 96), "large": (480, 640)}
    files = {
        name: image_file(draws.integers(0, 256, (*size, 3), dtype=np.uint8)) for name, size in sizes.items()
    }
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    files["grey"] = image_file(draws.integers(0, 256, (40, 30), dtype=np.uint8))
    files["transparent"] = image_file(draws.integers(0, 256, (40, 30, 4), dtype=np.uint8))
    files["turned"] = image_file(draws.integers(0, 256, (70, 40, 3), dtype=np.uint8), exif=exif)
    return files


@pytest.mark.parametrize(
    "kind",
    [kind if kind in (SOLVED, TRAINED) else pytest.param(kind, marks=pytest.mark.soak) for kind in KINDS],
)
def test_the_file_finds_what_the_detector_finds(
    kind: str, exported: Export, detectors: Mapping[str, Detector], shapes: Path
) -> None:
    done = exported(kind).detector
    assert done is not None
    assert done.parity is not None
    assert done.parity.pictures == (18 if kind == SOLVED else 32)
    assert done.tried == 3
    pictures = [*odd_pictures().values(), *sorted((shapes / "images").glob("*.png"))]
    model = regraft.load_model(done.file.parent)
    assert isinstance(model, OnnxDetector)
    theirs, ours = model.predict(pictures), detectors[kind].predict(pictures)
    assert [(one.width, one.height) for one in theirs] == [(one.width, one.height) for one in ours]
    parity = compared_boxes([one.found for one in theirs], ours.pictures, (96, 64), "pictures")
    assert parity.boxes > 20
    assert parity.alone <= 2  # a box that differs is alone on both sides


def test_a_large_photograph_is_reduced_as_the_detector_reduces_it(
    exported: Export, detectors: Mapping[str, Detector]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 15, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((1500, 1000)).save(file, "JPEG")
    [one] = OnnxDetector(exported(TRAINED).file).predict(file.getvalue())
    [other] = detectors[TRAINED].predict(file.getvalue())
    assert (one.width, one.height) == (1500, 1000)
    assert compared_boxes([one.found], [other], (96, 64), "picture").alone == 0


def test_no_boxes_are_an_empty_table(exported: Export, shapes: Path) -> None:
    [picture] = OnnxDetector(exported(SOLVED).file).predict(shapes / "images" / "00.png")
    assert picture.found.corners.shape == (0, 4)


def test_the_metadata_say_what_the_outputs_mean(exported: Export, shapes_detector: Detector) -> None:
    facts = OnnxDetector(exported(SOLVED).file).facts
    assert facts["task"] == "detection"
    assert facts["labels"] == ["disc", "square"]
    assert facts["thresholds"] == list(shapes_detector.thresholds)
    assert facts["canvas"] == {"height": 64, "width": 96}
    assert "lineage" in facts


def test_it_names_no_place_on_this_machine(exported: Export) -> None:
    data = exported(SOLVED).file.read_bytes()
    assert b"site-packages" not in data
    assert b"/src/" not in data


def test_the_card_says_how_good_it_is_and_what_it_may_be_used_for(exported: Export) -> None:
    card = (exported(SOLVED).file.parent / "README.md").read_text()
    for part in (
        "# shapes: boxes of 2 classes",
        "| disc | 0.",
        "IoU .50",
        "95 %",
        "licence",
        "18 of the run's",
    ):
        assert part in card
    assert "Not known" in (exported(TRAINED).file.parent / "README.md").read_text()


@pytest.mark.children
def test_the_example_draws_with_numpy_pillow_and_onnxruntime_alone(
    exported: Export, shapes: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, runpy; program = sys.argv.pop(); runpy.run_path(program, run_name='__main__'); "
        "heavy = {'torch', 'timm', 'regraft'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    folder = exported(TRAINED).file.parent
    words = [sys.executable, "-c", code, str(shapes / "images" / "05.png"), str(folder / "example.py")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [picture] = OnnxDetector(folder / "model.onnx").predict(shapes / "images" / "05.png")
    assert len(done.stdout.splitlines()) == len(picture.shown)
    drawn = np.asarray(Image.open(tmp_path / "05-boxes.png"))
    assert drawn.shape == (64, 96, 3)
    assert ((drawn == (255, 0, 0)).all(axis=2).sum() > 8) == (len(picture.shown) > 0)


@pytest.mark.usefixtures("traced")
def test_boxes_that_differ_are_refused_and_nothing_is_left(
    shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = OnnxDetector.found

    def moved(self: OnnxDetector, *given: Any) -> Found:
        found = right(self, *given)
        return Found(found.corners + 1, found.classes, found.scores)

    monkeypatch.setattr(OnnxDetector, "found", moved)
    with pytest.raises(ExportError, match=r"differs from the detector on 18 of the run's pictures"):
        export_model(shapes_run, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.children
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("if score >= facts", "if score >= -1 + 0 * facts", "example.py prints"),
        ("drawn.save(", "str(", "example.py prints"),
        ("import json", "import jsonn", "example.py fails: ModuleNotFoundError"),
    ],
    ids=["below the threshold", "not drawn", "broken"],
)
def test_an_example_that_says_something_else_is_refused(
    exported: Export, tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    file = exported(TRAINED).file
    shutil.copy(file, tmp_path)
    text = (file.parent / "example.py").read_text()
    assert right in text
    (tmp_path / "example.py").write_text(text.replace(right, wrong))
    with pytest.raises(ExportError, match=said):
        detector_export._tried(tmp_path / "example.py", OnnxDetector(tmp_path / "model.onnx"))


@pytest.mark.usefixtures("traced")
def test_openvinos_file_finds_the_same(shapes_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra regraft[openvino] is not installed")
    done = export_model(shapes_run, tmp_path, to="openvino").detector
    assert done is not None
    assert done.parity is not None
    assert done.parity.boxes > 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "README.md",
        "labels.json",
        "model.bin",
        "model.xml",
    }
    assert json.loads((tmp_path / "labels.json").read_text())["labels"] == ["disc", "square"]


def test_safetensors_hold_the_network_and_the_detector_by_name(
    shapes_run: Path, shapes_detector: Detector, tmp_path: Path
) -> None:
    import safetensors

    done = export_model(shapes_run, tmp_path, to="safetensors")
    with (
        safetensors.safe_open(done.file, "np") as file,
        safetensors.safe_open(shapes_detector.weights.path, "np") as network,
    ):
        assert set(network.keys()) <= set(file.keys())
        sides = file.get_tensor("detector.grid.sides")
        facts = json.loads(file.metadata()["regraft"])
    assert np.array_equal(sides, shapes_detector.finder.arrays()["grid.sides"])
    assert facts["calibration"]["slope"] == shapes_detector.calibration.slope


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ({"int8": True}, SettingsError, "int8 is for classifiers; a detector is exported at fp32"),
        ({"to": "safetensors", "images": ["x.png"]}, SettingsError, "images has no effect"),
        ({"images": ["gone.png"]}, NoImagesError, r"none of 1 files can be read.*gone\.png: can't be opened"),
        ({"data": "gone"}, SettingsError, "data gone does not exist"),
    ],
    ids=["int8", "weights alone", "no images", "no data"],
)
def test_what_cannot_be_exported_is_refused(
    shapes_run: Path, how: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        export_model(shapes_run, **how)


def test_a_saved_detector_has_no_data(shapes_run: Path) -> None:
    with pytest.raises(SettingsError, match="a saved detector without its run"):
        export_model(shapes_run / "bundle", data=shapes_run)


@pytest.mark.usefixtures("traced")
def test_the_command_exports_and_predicts(
    shapes: Path, shapes_run: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert command(["export", str(shapes_run), "--out", str(tmp_path / "out")]) == 0
    said = capfdbinary.readouterr().out.decode()
    assert "README.md, example.py" in said
    assert "compared with the detector on 18 of the run's pictures: the same" in said
    answers = []
    for model in (tmp_path / "out" / "model.onnx", shapes_run):
        assert command(["predict", str(model), str(shapes / "images" / "05.png")]) == 0
        answers.append([line.split(",")[:2] for line in capfdbinary.readouterr().out.decode().splitlines()])
    assert answers[0] == answers[1]
    file, picture = str(tmp_path / "out" / "model.onnx"), str(shapes / "images" / "05.png")
    assert command(["predict", file, picture, "--tiles", "2x2"]) == 2
    assert command(["predict", file, picture, "--precision", "bf16"]) == 2


def test_a_file_of_a_detector_is_no_classifier(exported: Export) -> None:
    with pytest.raises(BundleError, match="finds boxes, but labels of whole images are expected"):
        OnnxModel(exported(SOLVED).file)
