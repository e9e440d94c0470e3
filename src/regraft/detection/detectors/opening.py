"""One function to load any saved model: a run, a bundle or an exported file; classifier or detector."""

from __future__ import annotations

from pathlib import Path

from regraft.arguments import check_place
from regraft.detection.detectors.bundle import is_detector, load_detector
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.onnx_detector import OnnxDetector
from regraft.errors import BundleError
from regraft.prediction.bundle import load_bundle
from regraft.prediction.model import Model
from regraft.prediction.onnx_model import OnnxModel, exported_facts, open_session


def load_model(place: str | Path) -> Model | OnnxModel | Detector | OnnxDetector:
    """Load a model that `Model.save`, `regraft fit` or `regraft export` has written.

    An exported `.onnx` file (or a folder with `model.onnx` and no bundle) needs only ONNX Runtime, neither
    torch nor the library that the network comes from.

    Raises:
        BundleError: the place is not a model, or the model is damaged or has another version.
    """
    check_place("place", place, "a run folder, a bundle and an exported .onnx file", error=BundleError)
    path = Path(place)
    if path.suffix == ".onnx":
        return _exported(path)
    holds_bundle = any((path / name).exists() for name in ("bundle.json", "bundle/bundle.json"))
    if not holds_bundle and (path / "model.onnx").is_file():
        return _exported(path / "model.onnx")
    return load_detector(path) if is_detector(path) else load_bundle(path)


def _exported(path: Path) -> OnnxModel | OnnxDetector:
    session = open_session(path)
    if exported_facts(path, session).get("task") == "detection":
        return OnnxDetector(path, session=session)
    return OnnxModel(path, session=session)
