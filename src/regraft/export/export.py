"""Export a model as a file that other software can run, after comparing its predictions with the model's."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from regraft.detection.detectors.bundle import is_detector
from regraft.errors import SettingsError
from regraft.export.detector_export import DetectorExport, export_detector
from regraft.export.kinds import found_kinds, made_kinds
from regraft.export.model_card import model_card
from regraft.export.parity import (
    Parity,
    Quantised,
    Trial,
    allowed_difference,
    compared,
    same_answers,
    try_example,
)
from regraft.export.samples import Sample, Source, choose_sample, readable, spread
from regraft.prediction.model import Model
from regraft.prediction.onnx_model import FACT, OUTPUTS, OnnxModel, saved_task
from regraft.progress import Reporter, Silent
from regraft.runs.model_files import ModelFiles, open_files
from regraft.storage.files import make_folder, write_atomically
from regraft.tasks.score_sheet import measures
from regraft.tasks.task import Measure
from regraft.version import VERSION

_LEVELS = 100.0
"""How many times the tolerance pixels that differ by one level may make; at most 7 times was seen."""
Target = Literal["onnx", "openvino", "safetensors"]
_CHECKED, _CALIBRATED, _MEASURED = 64, 128, 500


@dataclass(frozen=True)
class Exported:
    """The exported files and how they compare with the model."""

    folder: Path
    file: Path
    parity: Parity
    quantised: Quantised | None
    trial: Trial | None = None
    """What `example.py` has said about an image of each kind; None if there is no example."""
    detector: DetectorExport | None = None
    """For a detector, how its boxes compare; `parity` is then empty."""


def export_model(
    run: str | Path,
    out: str | Path | None = None,
    *,
    to: Target = "onnx",
    int8: bool = False,
    images: Sequence[str | Path] = (),
    data: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Exported:
    """Write a model for others to use, with a model card and an example.

    Args:
        run: a folder that `regraft fit` or `Model.save` has written.
        out: the folder to write into; None means `export` in the run folder.
        to: `onnx`, one file from decoded pixels to outputs; `openvino`, the same as .xml and .bin;
            `safetensors`, all weights by their names in the network's library, and the head's arrays.
        int8: use 8-bit weights and activations (ONNX), calibrated on training images; the change of accuracy
            is measured.
        images: files and folders of images on which the export is compared with the model; without them, the
            run's images are used, and made-up ones if none of these can be read.
        data: the folder in which the run's images are now; None means that they were not moved.
        reporter: receives progress.

    Raises:
        ExportError: the predictions differ from the model's; nothing is written.
        SettingsError: there is no model, or int8 has no images to be calibrated on.
        NoImagesError: none of `images` can be read.
    """
    named = [images] if isinstance(images, str | Path) else list(images)
    if int8 and to != "onnx":
        raise SettingsError(f"--int8 works only for the format onnx, not for {to}")
    if named and to == "safetensors":
        raise SettingsError(
            "--images has no effect with --to safetensors, which copies the weights and compares nothing"
        )
    reporter = reporter or Silent()
    if is_detector(Path(run)):
        return _detector(Path(run), out, to=to, int8=int8, named=named, data=data, reporter=reporter)
    files = open_files(run, data)
    folder = Path(out) if out else files.folder / "export"
    job = _Export(files, folder, reporter)
    if to == "safetensors":
        make_folder(folder)
        return job.weights_alone()
    sample = choose_sample(files, named, _CHECKED)
    calibration = _calibration(files, sample, is_named=bool(named)) if int8 else []
    make_folder(folder)
    return job.openvino(sample) if to == "openvino" else job.onnx(sample, calibration)


def _detector(
    run: Path,
    out: str | Path | None,
    *,
    to: Target,
    int8: bool,
    named: Sequence[str | Path],
    data: str | Path | None,
    reporter: Reporter,
) -> Exported:
    if int8:
        raise SettingsError("--int8 is for classifiers; a detector is exported at fp32. Remove --int8")
    done = export_detector(
        run,
        Path(out) if out else None,
        to=to,
        named=named,
        data=Path(data) if data is not None else None,
        reporter=reporter,
    )
    return Exported(done.file.parent, done.file, Parity(0, 0.0, 1.0), None, detector=done)


@dataclass(frozen=True)
class _Export:
    """One export: what is exported, and where to."""

    files: ModelFiles
    folder: Path
    reporter: Reporter

    @property
    def model(self) -> Model:
        return self.files.model

    def onnx(self, sample: Sample, calibration: Sequence[Path]) -> Exported:
        """One file, and a program that uses it; int8 if there are images to calibrate with."""
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            made, quantised = Path(place, "model.onnx"), None  # nothing is visible before the comparison
            parity = self._graph(made, sample, "onnx")
            if calibration:
                made, quantised = self._int8(made, calibration, sample)
            program = made.with_name("example.py")
            program.write_bytes(resources.files("regraft.export").joinpath("example.py").read_bytes())
            tried = self._tried(program, found_kinds(sample.images))
            done = Exported(self.folder, self.folder / "model.onnx", parity, quantised, tried)
            for file in (made, program):
                write_atomically(self.folder / file.name, file.read_bytes())
        return self._with_card(done)

    def openvino(self, sample: Sample) -> Exported:
        """The graph in OpenVINO's format, compared again, because OpenVINO has its own kernels.

        OpenVINO's kernels for processors have no double precision, in which the crop is exact: a few of its
        pixels differ by one level of 255. So what follows the crop is compared as strictly as an ONNX file,
        on exact pixels; and the whole with the difference that such pixels make.
        """
        from regraft.export.graphs import divided
        from regraft.export.openvino_file import OpenVinoFile, convert

        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            made, hidden = Path(place, "model.onnx"), Path(place, "model.xml")
            self._graph(made, sample, "openvino")
            graph = OnnxModel(made)
            decoded = [graph.decoded(source)[None] for source in sample.images]
            ours, task = _outputs(self.model, sample.images), self.model.task
            crop, core = divided(made)
            convert(core, core.with_suffix(".xml"))
            exact = OpenVinoFile(core.with_suffix(".xml"))
            compared([exact.outputs(crop(images))[0] for images in decoded], ours, sample, task)
            convert(made, hidden)
            whole = OpenVinoFile(hidden)
            theirs = [whole.outputs(images)[0] for images in decoded]
            parity = compared(theirs, ours, sample, task, times=_LEVELS)
            for name in ("model.bin", "model.xml"):
                write_atomically(self.folder / name, hidden.with_name(name).read_bytes())
        return self._with_card(Exported(self.folder, self.folder / "model.xml", parity, None))

    def weights_alone(self) -> Exported:
        """All arrays in one file."""
        file = _safetensors(self.model, self.folder, _facts(self.files))
        return self._with_card(Exported(self.folder, file, Parity(0, 0.0, 1.0), None))

    def _graph(self, made: Path, sample: Sample, name: str) -> Parity:
        """Write the ONNX graph and compare it on the sample and on an image of each kind."""
        with self.reporter.phase(f"exporting to {name}", 1, "files") as meter:
            _write_onnx(self.model, made, _facts(self.files))
            meter.advance()
        images = [*sample.images, *made_kinds(self.model.weights.input_spec.channels).values()]
        with self.reporter.phase("comparing with the model", len(images)) as meter:
            theirs, ours = _outputs(OnnxModel(made), images), _outputs(self.model, images)
            parity = compared(theirs, ours, sample, self.model.task)
            meter.advance(len(images))
        return parity

    def _tried(self, program: Path, found: Mapping[str, Source]) -> Trial:
        """Run the example on an image of every kind."""
        made = made_kinds(self.model.weights.input_spec.channels)
        with self.reporter.phase("running the example", len(made) + len(found)) as meter:
            trial = try_example(program, made, found)
            meter.advance(len(made) + len(found))
        for kind in trial.unread:
            self.reporter.warn(f"the model can be used on images of this kind, but not by example.py: {kind}")
        return trial

    def _int8(self, made: Path, calibration: Sequence[Path], sample: Sample) -> tuple[Path, Quantised]:
        from regraft.export.quantisation import quantise

        whole = Path(made.parent, "int8", made.name)
        whole.parent.mkdir()
        quantise(made, whole, OnnxModel(made), calibration, self.reporter)
        return whole, _measured(self.files, OnnxModel(whole), sample, self.reporter)

    def _with_card(self, done: Exported) -> Exported:
        name, parity = done.file.name, done.parity
        card = model_card(self.files, name, parity=parity, quantised=done.quantised, trial=done.trial)
        write_atomically(self.folder / "README.md", card.encode())
        return done


def _facts(files: ModelFiles) -> dict[str, Any]:
    """The facts that are written into the file; what is not known is left out."""
    model, best, plan = files.model, files.best, files.plan
    headline = measures(best)[0] if best else None
    facts = {
        **saved_task(model.task),
        "input_spec": model.weights.input_spec.model_dump(mode="json"),
        "network": model.weights.network,
        "recipe": model.weights.recipe.model_dump(mode="json"),
        "strategy": plan.strategy if plan else None,
        "lineage": list(model.lineage),
        "licence": model.weights.source.licence,
        headline.name if headline else "": _estimate(headline),
        "judged_on": f"{best.images} images, {best.method}" if best else None,
        "regraft_version": VERSION,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _estimate(measure: Measure | None) -> dict[str, Any] | None:
    return measure.estimate.model_dump(mode="json") if measure and measure.estimate else None


def _write_onnx(model: Model, path: Path, facts: dict[str, Any]) -> None:
    try:
        from regraft.export.graphs import core_graph, crop_graph, joined
        from regraft.prediction.onnx_graph import saved
    except ImportError as error:
        raise SettingsError(f"export needs {error.name}: pip install 'regraft[export]'") from error
    text = json.dumps(facts, sort_keys=True)
    graph = joined(crop_graph(model.weights.input_spec), core_graph(model), {FACT: text})
    path.write_bytes(saved(graph))


def _outputs(model: Model | OnnxModel, images: Sequence[Source]) -> list[npt.NDArray[np.float64]]:
    return [row.outputs for row in model.predict(images).rows]


def _calibration(files: ModelFiles, sample: Sample, *, is_named: bool) -> list[Path]:
    """Training images, or else images that the user has named."""
    spec = files.model.weights.input_spec
    items = spread(files.training_images, _CALIBRATED)
    places = (place for item in items if (place := files.image(item.path)) is not None)
    found = list(islice(readable(places, spec), _CALIBRATED))
    if not found and is_named:
        found = [image for image in sample.images if isinstance(image, Path)]
    if not found:
        raise SettingsError(
            f"--int8 is calibrated on training images, but {files.whereabouts}. Name similar images with "
            "--images, or export without --int8"
        )
    return found


def _measured(files: ModelFiles, exported: OnnxModel, sample: Sample, reporter: Reporter) -> Quantised:
    """What int8 costs on the evaluated images, or on the sample if none of them can be read."""
    rows = spread(files.predictions, _MEASURED)
    placed = ((place, row) for row in rows if (place := files.image(row.path)) is not None)
    places = dict(islice(placed, _MEASURED))
    truth = {place: row.label for place, row in places.items()}
    known: list[Source] = [*truth] or [*sample.images]
    with reporter.phase("measuring int8", len(known)) as meter:
        ours, theirs = files.model.predict(known).rows, exported.predict(known).rows
        meter.advance(len(known))
    task = files.model.task
    outputs = [np.stack([row.outputs for row in rows]) for rows in (ours, theirs)]
    allowed = 100 * allowed_difference(list(outputs[0]), task)  # a hundredth
    agreement = same_answers(list(outputs[1]), list(outputs[0]), task, allowed)
    names = OUTPUTS[task.link]
    if not truth:
        return Quantised(len(ours), agreement, None, None, names)
    targets = task.targets([truth[Path(row.path)] for row in ours])
    known_groups = files.run.groups if files.run else {}
    groups = [known_groups.get(places[Path(row.path)].path, row.path) for row in ours]
    fp32, int8 = (task.merit(task.goodness(one, targets), targets=targets, groups=groups) for one in outputs)
    return Quantised(len(ours), agreement, fp32, int8, names)


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
    write_atomically(file, safetensors.numpy.save(arrays, metadata={FACT: text}))
    return file
