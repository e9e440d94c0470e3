"""Export a detector as a file that other software can run, after comparing its boxes with the detector's."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from regraft.detection.detectors.bundle import load_detector
from regraft.detection.detectors.detector import DetectedPicture, Detector
from regraft.detection.detectors.onnx_detector import OnnxDetector, as_found
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.maps.found import Found
from regraft.errors import ExportError, SettingsError
from regraft.export.detectors.model_card import detector_card
from regraft.export.detectors.parity import MOST_ALONE, BoxParity, compared_boxes
from regraft.export.kinds import made_kinds
from regraft.export.samples import Sample, made_up, named_sample, readable, spread
from regraft.prediction.onnx_model import FACT
from regraft.progress import Reporter
from regraft.storage.files import make_folder, write_atomically
from regraft.version import VERSION

_CHECKED = 32
_OTHER_KERNELS = 100.0
"""How many times the tolerance the boxes of another runtime may differ, whose pixels differ by one level."""
_OTHER_BOXES = 0.05
"""The share of boxes that another runtime may find alone."""
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DetectorExport:
    """The exported files of a detector, and how they compare with it."""

    file: Path
    parity: BoxParity | None
    """None for weights alone, which are copied."""
    tried: int = 0
    """Number of pictures on which the example was run."""


def export_detector(
    run: Path,
    out: Path | None,
    *,
    to: Literal["onnx", "openvino", "safetensors"],
    named: Sequence[str | Path],
    data: Path | None,
    reporter: Reporter,
) -> DetectorExport:
    """Write a detector for others to use, with a model card and an example.

    Args:
        run: the run's folder, or a bundle.
        out: the folder to write into; None means `export` in the run folder.
        to: the format.
        named: files and folders of pictures to compare on; without them, the run's or made-up ones are used.
        data: the folder in which the run's pictures are now.
        reporter: receives progress.

    Raises:
        ExportError: the boxes differ from the detector's; nothing is written.
        SettingsError: an argument has no effect, or a library is missing.
        NoImagesError: none of the named pictures can be read.
    """
    files = DetectorFiles(run, data) if (run / "run.json").is_file() else None
    if files is None and data is not None:
        raise SettingsError(
            f"--data {data} has no effect on {run}: it is a saved detector without its run, which does not "
            "say what pictures it was fitted on. Remove --data, or give the run's folder"
        )
    folder = out or run / "export"
    job = _Export(load_detector(run), files, folder, reporter)
    if to == "safetensors":
        make_folder(folder)
        return job.weights_alone()
    sample = job.sample(named)
    make_folder(folder)
    with tempfile.TemporaryDirectory(dir=folder) as place:  # nothing is visible before the comparison
        return job.openvino(Path(place), sample) if to == "openvino" else job.onnx(Path(place), sample)


@dataclass(frozen=True)
class _Export:
    """One export: what is exported, and where to."""

    detector: Detector
    files: DetectorFiles | None
    folder: Path
    reporter: Reporter

    def onnx(self, place: Path, sample: Sample) -> DetectorExport:
        """One file, and a program that uses it."""
        made, program = place / "model.onnx", place / "example.py"
        self._graphs(place)
        exported = OnnxDetector(made)
        parity = self._compared(sample, exported, lambda pixels: exported.found(pixels))
        program.write_bytes(resources.files("regraft.export.detectors").joinpath("example.py").read_bytes())
        tried = _tried(program, exported)
        for file in (made, program):
            write_atomically(self.folder / file.name, file.read_bytes())
        return self._with_card(DetectorExport(self.folder / made.name, parity, tried))

    def openvino(self, place: Path, sample: Sample) -> DetectorExport:
        """The graph in OpenVINO's format, compared again, because OpenVINO has its own kernels.

        They have no double precision, so that a few pixels on the canvas differ by one level of 255.
        """
        from regraft.export.openvino_file import OpenVinoFile, convert

        self._graphs(place)
        exported = OnnxDetector(place / "model.onnx")
        self._compared(sample, exported, lambda pixels: exported.found(pixels))
        hidden = place / "model.xml"
        convert(exported.path, hidden)
        whole = OpenVinoFile(hidden)
        parity = self._compared(
            sample,
            exported,
            lambda pixels: as_found(whole.every_output(pixels), pixels),
            times=_OTHER_KERNELS,
            most_alone=_OTHER_BOXES,
        )
        write_atomically(self.folder / "labels.json", json.dumps(self._facts(), indent=1).encode())
        for name in ("model.bin", "model.xml"):
            write_atomically(self.folder / name, (place / name).read_bytes())
        return self._with_card(DetectorExport(self.folder / "model.xml", parity))

    def weights_alone(self) -> DetectorExport:
        """All arrays in one file: the network's under their library names, the detector's with a prefix."""
        detector = self.detector
        state = safetensors.numpy.load_file(detector.weights.path)
        own = {f"detector.{name}": np.ascontiguousarray(a) for name, a in detector.finder.arrays().items()}
        facts = {
            **self._facts(),
            "calibration": detector.calibration.model_dump(mode="json"),
            "levels": [level.model_dump(mode="json") for level in detector.finder.levels],
        }
        file = self.folder / "model.safetensors"
        text = json.dumps(facts, sort_keys=True)
        write_atomically(file, safetensors.numpy.save({**state, **own}, metadata={FACT: text}))
        return self._with_card(DetectorExport(file, None))

    def sample(self, named: Sequence[str | Path]) -> Sample:
        """Pictures that can be read: those that were named, else those of the run, else made-up ones."""
        spec, files = self.detector.weights.input_spec, self.files
        if named:
            return named_sample(named, spec, _CHECKED)
        if files is None:
            reason = "a saved detector without its run lists no pictures"
            return Sample(made_up(spec.channels), "made-up pictures", reason)
        sides = ("test", "validation", "train")
        rows = [
            row for side in sides for row in spread([r for r in files.pictures if r.side == side], _CHECKED)
        ]
        places = (files.image(row.path) for row in rows)
        found = tuple(islice(readable((one for one in places if one is not None), spec), _CHECKED))
        if found:
            return Sample(found, "of the run's pictures")
        moved = "" if files.data else " (if they were moved, --data FOLDER says where they are)"
        reason = f"none of the run's pictures can be read below {files.root}{moved}"
        return Sample(made_up(spec.channels), "made-up pictures", reason)

    def _graphs(self, place: Path) -> None:
        with self.reporter.phase("exporting the detector", 1, "files") as meter:
            try:
                from regraft.detection.graph.writing import detect_graph
                from regraft.export.graphs import joined, letterbox_graph
                from regraft.prediction.onnx_graph import saved
            except ImportError as error:
                raise SettingsError(f"export needs {error.name}: pip install 'regraft[export]'") from error
            facts = {FACT: json.dumps(self._facts(), sort_keys=True)}
            box = letterbox_graph(self.detector.weights.input_spec)
            whole = joined(box, detect_graph(self.detector), facts, outputs=3)
            (place / "model.onnx").write_bytes(saved(whole))
            meter.advance()

    def _compared(
        self,
        sample: Sample,
        exported: OnnxDetector,
        found: Callable[[Pixels], Found],
        *,
        times: float = 1.0,
        most_alone: float = MOST_ALONE,
    ) -> BoxParity:
        """Compare what a function finds in decoded pictures with what the detector finds.

        A picture that its file reduces while it is decoded is compared at the reduced size.
        """
        theirs: list[Found] = []
        ours: list[DetectedPicture] = []
        height, width, _ = self.detector.weights.input_spec.shape
        with self.reporter.phase("comparing with the detector", len(sample.images)) as meter:
            for source in sample.images:
                pixels, size = exported.decoded(source)
                given = source if pixels.shape[1::-1] == size else pixels
                ours += self.detector.predict([given])
                theirs.append(found(pixels))
                meter.advance()
        because = f", because {sample.reason}" if sample.reason else ""
        return compared_boxes(
            theirs, ours, (width, height), sample.origin + because, times=times, most_alone=most_alone
        )

    def _facts(self) -> dict[str, Any]:
        """The facts that are written into the file; what is not known is left out."""
        detector, spec = self.detector, self.detector.weights.input_spec
        best = detector.scores and (detector.scores.test or detector.scores.validation)
        facts = {
            "task": "detection",
            "labels": list(detector.labels),
            "thresholds": list(detector.thresholds),
            "canvas": {"height": spec.shape[0], "width": spec.shape[1]},
            "input_spec": spec.model_dump(mode="json"),
            "detector": detector.finder.kind,
            "network": detector.weights.network,
            "recipe": detector.weights.recipe.model_dump(mode="json"),
            "lineage": list(detector.lineage),
            "licence": detector.weights.source.licence,
            "map50": best.map50.model_dump(mode="json") if best and best.map50 else None,
            "judged_on": f"{best.images} pictures, {best.method}" if best else None,
            "regraft_version": VERSION,
        }
        return {name: value for name, value in facts.items() if value is not None}

    def _with_card(self, done: DetectorExport) -> DetectorExport:
        card = detector_card(
            self.detector, self.files, done.file.name, done.parity, has_example=bool(done.tried)
        )
        write_atomically(self.folder / "README.md", card.encode())
        return done


def _tried(program: Path, exported: OnnxDetector) -> int:
    """Run the example as a user would, on pictures of the usual kinds, and compare what it prints.

    Raises:
        ExportError: it fails, says other boxes than the file, or draws nothing.
    """
    kinds = made_kinds(exported.input_spec.channels)
    usual = [kinds[name] for name in ("RGB", "JPEG of a camera held upright", "grey") if name in kinds]
    several = usual or list(kinds.values())[-1:]
    with tempfile.TemporaryDirectory() as folder:
        names = [f"picture-{number}" for number in range(len(several))]
        for name, data in zip(names, several, strict=True):
            Path(folder, name).write_bytes(data)
        done = subprocess.run(
            [sys.executable, str(program.resolve()), *names], cwd=folder, capture_output=True, check=False
        )
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason was given"]
            raise ExportError(
                f"example.py fails: {lines[-1]}. Nothing was written; please report the versions"
            )
        printed = done.stdout.decode("utf-8", "replace").splitlines()
        for name in names:
            [picture] = exported.predict([Path(folder, name)])
            said = [line.removeprefix(f"{name}: ") for line in printed if line.startswith(f"{name}: ")]
            if said != _printed(picture, exported) or not Path(folder, f"{name}-boxes.png").is_file():
                raise ExportError(
                    f"example.py prints {len(said)} boxes for a picture, but the model finds "
                    f"{len(picture.shown)} there, or others. Nothing was written; please report the versions"
                )
    return len(several)


def _printed(picture: DetectedPicture, exported: OnnxDetector) -> list[str]:
    """What the example is to print about a picture."""
    found = picture.shown
    return [
        f"{exported.labels[number]} {score:.1%} " + " ".join(f"{edge:.1f}" for edge in corners)
        for number, score, corners in zip(found.classes, found.scores, found.corners, strict=True)
    ]
