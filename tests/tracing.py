"""Graphs that all tests share: to trace a model takes seconds, and several tests use the same one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import onnx
import pytest
from filelock import FileLock

from regraft.detection.detectors.bundle import save_detector
from regraft.detection.graph import writing
from regraft.export import graphs
from regraft.prediction.model import Model
from regraft.serving.classification import packing as classifiers
from regraft.serving.detection import packing as detectors
from regraft.storage.files import key_of, sha256_of_file

Saved = TypeVar("Saved")


def bundle_key(model: Saved, save: Callable[[Saved, Path], object]) -> str:
    """A hash of all that is saved of a model."""
    with tempfile.TemporaryDirectory() as place:
        save(model, Path(place) / "bundle")
        files = sorted(path for path in (Path(place) / "bundle").rglob("*") if path.is_file())
        return key_of([(path.name, sha256_of_file(path)) for path in files])


def shared(
    trace: Callable[[Saved], onnx.ModelProto], save: Callable[[Saved, Path], object], folder: Path
) -> Callable[[Saved], onnx.ModelProto]:
    """The function that traces a model, which reads the graph from a folder if it has been traced before."""

    def graph(model: Saved) -> onnx.ModelProto:
        path = folder / f"{bundle_key(model, save)}.onnx"
        with FileLock(f"{path}.lock"):
            if not path.exists():
                onnx.save(trace(model), str(path))
        return onnx.load(str(path))

    return graph


@contextmanager
def sharing(folder: Path) -> Iterator[None]:
    """Exports and packages made in this process use the graphs in a folder, and leave theirs there."""
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        core = shared(graphs.core_graph, Model.save, folder)
        detect = shared(writing.detect_graph, save_detector, folder)
        for module, name, function in (
            (graphs, "core_graph", core),
            (classifiers, "core_graph", core),
            (writing, "detect_graph", detect),
            (detectors, "detect_graph", detect),
        ):
            patch.setattr(module, name, function)
        yield
