"""Whether an exported file and the program that comes with it predict what the model predicts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regraft.errors import ExportError
from regraft.export.samples import Sample, Source
from regraft.prediction.onnx_model import OnnxModel
from regraft.prediction.predictions import Prediction

TOLERANCE = 1e-4
"""The largest difference of a probability between the export and the model."""


@dataclass(frozen=True)
class Parity:
    """How the predictions of an exported file compare with those of its model."""

    images: int
    largest_difference: float
    """Largest difference of any probability."""
    agreement: float
    """Share of images with the same most probable label."""
    sample: Sample | None = field(default=None, repr=False)
    """The images that were compared; None if nothing was."""


@dataclass(frozen=True)
class Quantised:
    """What int8 costs compared with fp32, as shares of the same images."""

    images: int
    agreement: float
    """Share of images with the same label."""
    accuracy_fp32: float | None
    """None if none of the evaluated images can be read, whose labels are known."""
    accuracy_int8: float | None


def compared(
    theirs: Sequence[npt.NDArray[np.float64]], ours: Sequence[npt.NDArray[np.float64]], sample: Sample
) -> Parity:
    """Compare the probabilities that two models give for each image of a sample, and for some further images.

    Raises:
        ExportError: they differ by more than `TOLERANCE`, or in a label.
    """
    pairs = list(zip(theirs, ours, strict=True))
    gap = max(float(np.abs(a - b).max()) for a, b in pairs)
    agreement = float(np.mean([a.argmax() == b.argmax() for a, b in pairs]))
    if gap > TOLERANCE or agreement < 1:
        raise ExportError(
            f"the exported graph differs from the model on {sample.text}: probabilities differ by up to "
            f"{gap:.2g} (allowed: {TOLERANCE:g}), the labels are the same on {100 * agreement:.1f} %. "
            "Nothing was written; please report the network and the versions"
        )
    return Parity(len(sample.images), gap, agreement, sample)


@dataclass(frozen=True)
class Trial:
    """What the example has said about image files."""

    images: int
    """Number of images whose labels and probabilities are those of the exported file."""
    unread: tuple[str, ...]
    """Kinds of images that Regraft decodes but the example does not, which says so."""


def try_example(program: Path, made: Mapping[str, Source], found: Mapping[str, Source]) -> Trial:
    """Run the example as a user would, from another folder, and compare its labels with those of the file.

    Args:
        program: the example, with `model.onnx` next to it.
        made: image files that it must decode, each with the name of its kind.
        found: image files of the user, likewise; those that the example can't decode are listed.

    Raises:
        ExportError: the program fails, or says something else than the exported file with Regraft's loader.
    """
    images = [*made.items(), *found.items()]
    model = OnnxModel(program.with_name("model.onnx"))
    names = [f"image-{number}" for number in range(len(images))]
    with tempfile.TemporaryDirectory() as folder:
        for name, (_, source) in zip(names, images, strict=True):
            data = source if isinstance(source, bytes) else source.read_bytes()
            Path(folder, name).write_bytes(data)
        expected = model.predict([Path(folder, name) for name in names])
        printed = _printed(program, names, Path(folder))
    rows = {Path(row.path).name: row for row in expected.rows}
    unread = []
    for number, (name, (kind, _)) in enumerate(zip(names, images, strict=True)):
        said = dict(re.findall(rf"^{name}: ((?s:.*?)) ([\d.]+)%$", printed, re.MULTILINE))
        if not said and number >= len(made):
            unread.append(kind)
        elif name not in rows or not _agrees(said, rows[name], expected.labels):
            raise ExportError(_difference(kind, said, rows.get(name), is_made=number < len(made)))
    return Trial(len(images) - len(unread), tuple(unread))


def _agrees(said: Mapping[str, str], row: Prediction, labels: Sequence[str]) -> bool:
    """Whether the label is the same, and the printed probabilities (rounded to 1e-5) are close."""
    chances = dict(zip(labels, row.probabilities, strict=True))
    gaps = [abs(float(percent) / 100 - float(chances.get(label, 2.0))) for label, percent in said.items()]
    return next(iter(said), None) == row.label and max(gaps) <= TOLERANCE


def _difference(kind: str, said: Mapping[str, str], row: Prediction | None, *, is_made: bool) -> str:
    label, percent = next(iter(said.items()), ("nothing", "0"))
    ours = f"{row.label} ({100 * row.probability:.3f} %)" if row else "that it can't be read"
    advice = "please report the versions of Pillow and ONNX Runtime"
    if not is_made:
        advice = "compare on other images with --images, or report the image"
    return (
        f"example.py says {label} ({percent} %) about an image of the kind {kind}, but the model says "
        f"{ours}. Nothing was written; {advice}"
    )


def _printed(program: Path, names: Sequence[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(program.resolve()), *names],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:surrogateescape"},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason was given"]
        raise ExportError(f"example.py fails: {lines[-1]}. Nothing was written; please report the versions")
    return done.stdout.decode("utf-8", "surrogateescape").replace(os.linesep, "\n")
