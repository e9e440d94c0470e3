"""Export a model as a file that other software can run, after comparing its predictions with the model's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from regraft import __version__, storage
from regraft.errors import ExportError, ImageError, SettingsError
from regraft.prediction.bundle import load_model
from regraft.prediction.model import Model
from regraft.prediction.onnx_model import FACT, OnnxModel
from regraft.progress import Reporter, Silent
from regraft.run_files import RunFiles
from regraft.serving.card import example_text, model_card

Target = Literal["onnx", "openvino", "safetensors"]
TARGETS: tuple[Target, ...] = ("onnx", "openvino", "safetensors")
TOLERANCE = 1e-4
"""The largest difference of a probability between the export and the model."""
LEAST_CHECKED = 32
_CHECKED, _CALIBRATED, _MEASURED = 64, 128, 500


@dataclass(frozen=True)
class Parity:
    """How the predictions of an exported file compare with those of its model."""

    images: int
    largest_difference: float
    """Largest difference of any probability."""
    agreement: float
    """Share of images with the same most probable label."""


@dataclass(frozen=True)
class Quantised:
    """The accuracy of int8 compared with fp32, as shares of the same images."""

    images: int
    accuracy_fp32: float
    accuracy_int8: float
    agreement: float


@dataclass(frozen=True)
class Exported:
    """The exported files and how they compare with the model."""

    folder: Path
    file: Path
    parity: Parity
    quantised: Quantised | None


def export_model(
    run: str | Path,
    out: str | Path | None = None,
    *,
    to: Target = "onnx",
    int8: bool = False,
    reporter: Reporter | None = None,
) -> Exported:
    """Write a run's model for others to use, with a model card and an example.

    Args:
        run: a folder that `regraft fit` left behind.
        out: the folder to write into; None means `export` in the run folder.
        to: `onnx`, one file from decoded pixels to probabilities; `openvino`, the same as .xml and .bin;
            `safetensors`, all weights by their names in the network's library, and the head's arrays.
        int8: use 8-bit weights and activations (ONNX), calibrated on training images; the change of accuracy
            is measured.
        reporter: receives progress.

    Raises:
        ExportError: the predictions differ from the model's; nothing is written.
        SettingsError: the run is not finished, or too few of its images can be read for the comparison.
    """
    if int8 and to != "onnx":
        raise SettingsError(f"--int8 works only with --to onnx, not with --to {to}")
    files, reporter = RunFiles(Path(run)), reporter or Silent()
    model, folder = load_model(files.folder), Path(out) if out else files.folder / "export"
    storage.make_folder(folder)
    facts = _facts(files, model)
    if to == "safetensors":
        file, parity = _safetensors(model, folder, facts), Parity(0, 0.0, 1.0)
        _write_texts(folder, files, model, file.name, to, None, None)
        return Exported(folder, file, parity, None)
    paths = _some(files, _MEASURED if int8 else _CHECKED)
    with tempfile.TemporaryDirectory(dir=folder) as place:  # nothing is visible before the comparison
        made, quantised = Path(place, "model.onnx"), None
        with reporter.phase(f"exporting to {to}", 1, "files") as meter:
            _write_onnx(model, made, facts)
            meter.advance()
        parity = _compared(OnnxModel(made), model, paths[:_CHECKED], reporter)
        _require(parity)
        if int8:
            from regraft.serving.quantisation import quantise

            whole = made.with_name("int8.onnx")
            quantise(made, whole, OnnxModel(made), _some_training(files), reporter)
            quantised = _measured(files, OnnxModel(whole), model, paths, reporter)
            made = whole
        if to == "openvino":
            file, parity = _openvino(made, folder, model, paths[:_CHECKED])
        else:
            file = folder / "model.onnx"
            storage.write_atomically(file, made.read_bytes())
    _write_texts(folder, files, model, file.name, to, parity, quantised)
    return Exported(folder, file, parity, quantised)


def _facts(files: RunFiles, model: Model) -> dict[str, Any]:
    """The facts that are written into the file."""
    best = files.best
    return {
        "labels": list(model.labels),
        "input_spec": model.weights.input_spec.model_dump(mode="json"),
        "network": model.weights.network,
        "recipe": model.weights.recipe.model_dump(mode="json"),
        "strategy": files.run.plan.strategy,
        "lineage": list(model.lineage),
        "licence": model.weights.source.licence,
        "accuracy": best.accuracy.model_dump(mode="json"),
        "judged_on": f"{best.images} images, {best.method}",
        "regraft_version": __version__,
    }


def _write_onnx(model: Model, path: Path, facts: dict[str, Any]) -> None:
    try:
        from regraft.serving.graphs import core_graph, crop_graph, joined, saved
    except ImportError as error:
        raise SettingsError(f"export needs {error.name}: pip install 'regraft[export]'") from error
    text = json.dumps(facts, sort_keys=True)
    graph = joined(crop_graph(model.weights.input_spec), core_graph(model), {FACT: text})
    path.write_bytes(saved(graph))


def _some(files: RunFiles, most: int) -> list[Path]:
    """Evaluated images that can still be read, then training images, spread evenly over their lists."""
    judged = [row.path for row in files.judged]
    training = [item.path for item in files.training_images]
    found: list[Path] = []
    for paths in (judged, training):
        step = max(1, len(paths) // most)
        places = (files.image(path) for path in paths[::step])
        found += [place for place in places if place is not None][: most - len(found)]
    if len(found) < LEAST_CHECKED:
        raise SettingsError(
            f"only {len(found)} of the run's images can be read below {files.root}, but an export is "
            f"compared with its model on at least {LEAST_CHECKED}. Put the images back, or fit again where "
            "they are now"
        )
    return found


def _some_training(files: RunFiles) -> list[Path]:
    items = files.training_images
    places = (files.image(item.path) for item in items[:: max(1, len(items) // _CALIBRATED)])
    return [place for place in places if place is not None][:_CALIBRATED]


def _compared(exported: OnnxModel, model: Model, paths: Sequence[Path], reporter: Reporter) -> Parity:
    """Compare the exported file and the model on the same images."""
    with reporter.phase("comparing with the model", len(paths)) as meter:
        theirs = exported.predict(paths)
        meter.advance(len(paths))
    return _parity(theirs.rows, model.predict([row.path for row in theirs.rows]).rows)


def _parity(ones: Sequence[Any], others: Sequence[Any]) -> Parity:
    pairs = list(zip(ones, others, strict=True))
    gap = max(float(np.abs(a.probabilities - b.probabilities).max()) for a, b in pairs)
    return Parity(len(pairs), gap, float(np.mean([a.label == b.label for a, b in pairs])))


def _require(parity: Parity) -> None:
    if parity.largest_difference > TOLERANCE or parity.agreement < 1:
        raise ExportError(
            f"the exported graph differs from the model on {parity.images} images: probabilities differ by "
            f"up to {parity.largest_difference:.2g} (allowed: {TOLERANCE:g}), the labels are the same on "
            f"{100 * parity.agreement:.1f} %. Nothing was written; please report the network and the versions"
        )


def _measured(
    files: RunFiles, exported: OnnxModel, model: Model, paths: Sequence[Path], reporter: Reporter
) -> Quantised:
    """Accuracy of the exported file and of the model on the evaluated images."""
    truth = {str(files.root / row.path): row.label for row in files.judged}
    known = [path for path in paths if str(path) in truth]
    if not known:
        raise SettingsError(f"no evaluated image can be read below {files.root}, so int8 can't be measured")
    with reporter.phase("measuring int8", len(known)) as meter:
        ours, theirs = model.predict(known).rows, exported.predict(known).rows
        meter.advance(len(known))
    return Quantised(
        len(ours),
        float(np.mean([row.label == truth[row.path] for row in ours])),
        float(np.mean([row.label == truth[row.path] for row in theirs])),
        float(np.mean([a.label == b.label for a, b in zip(ours, theirs, strict=True)])),
    )


def _openvino(made: Path, folder: Path, model: Model, paths: Sequence[Path]) -> tuple[Path, Parity]:
    """Convert the graph to OpenVINO and compare again, because OpenVINO has its own kernels."""
    from regraft.serving.openvino_file import OpenVinoFile, convert

    hidden = made.with_name("model.xml")
    convert(made, hidden)
    graph, reader = OpenVinoFile(hidden), OnnxModel(made)
    ones: list[npt.NDArray[np.float64]] = []
    kept: list[Path] = []
    for path in paths:
        try:
            ones.append(graph.probabilities(reader.decoded(path)[None])[0])
            kept.append(path)
        except ImageError:
            continue
    others = [row.probabilities for row in model.predict(kept).rows]
    gap = max(float(np.abs(a - b).max()) for a, b in zip(ones, others, strict=True))
    same = float(np.mean([a.argmax() == b.argmax() for a, b in zip(ones, others, strict=True)]))
    parity = Parity(len(ones), gap, same)
    _require(parity)
    for name in ("model.bin", "model.xml"):
        storage.write_atomically(folder / name, hidden.with_name(name).read_bytes())
    return folder / "model.xml", parity


def _safetensors(model: Model, folder: Path, facts: dict[str, Any]) -> Path:
    """All arrays in one file: the network's under their library names, the heads' with the prefix `head.`."""
    import safetensors.numpy

    arrays: dict[str, npt.NDArray[Any]] = {}
    heads = []
    for number, voter in enumerate(model.voters):
        prefix = "" if number == 0 else f"voter{number}."
        if number == 0 or voter.weights.sha256 != model.weights.sha256:
            state = safetensors.numpy.load_file(voter.weights.path)
            arrays |= {f"{prefix}{name}": array for name, array in state.items()}
        arrays |= {f"{prefix}head.{name}": np.ascontiguousarray(a) for name, a in voter.head.arrays.items()}
        heads.append(voter.head.record.model_dump(mode="json"))
    file = folder / "model.safetensors"
    text = json.dumps({**facts, "heads": heads}, sort_keys=True)
    storage.write_atomically(file, safetensors.numpy.save(arrays, metadata={FACT: text}))
    return file


def _write_texts(
    folder: Path,
    files: RunFiles,
    model: Model,
    file: str,
    to: Target,
    parity: Parity | None,
    quantised: Quantised | None,
) -> None:
    checked = (parity.images, parity.largest_difference) if parity else None
    loss = (quantised.accuracy_fp32, quantised.accuracy_int8, quantised.images) if quantised else None
    card = model_card(files, model, file, checked=checked, quantised=loss)
    storage.write_atomically(folder / "README.md", card.encode())
    if to == "onnx":
        storage.write_atomically(folder / "example.py", example_text(model.weights.input_spec).encode())
