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
from regraft.prediction.onnx_model import OUTPUTS, OnnxModel
from regraft.prediction.predictions import Prediction
from regraft.tasks.classification import Classification
from regraft.tasks.task import Measure, Task

Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-4
"""The largest difference of a probability between the export and the model; numbers may differ by this share
of the range of the model's answers, and by what rounding to float32 takes."""
_ROUNDING = 1e-6  # of the largest number
_ANSWERS = {"probabilities": "labels", "values": "values"}
_SAME = {
    "probabilities": "the same label",
    "values": "values that differ by less than a hundredth of their range",
}
NONE = "no label, at most "
"""What the example prints before the most probable label, if none reaches its threshold."""


@dataclass(frozen=True)
class Parity:
    """How the predictions of an exported file compare with those of its model."""

    images: int
    largest_difference: float
    """Largest difference of any output."""
    agreement: float
    """Share of images with the same answer, for example with the same most probable class."""
    sample: Sample | None = field(default=None, repr=False)
    """The images that were compared; None if nothing was."""
    outputs: str = "probabilities"
    """What was compared: probabilities or values."""

    @property
    def answers(self) -> str:
        """What the model and the export have in common, in the plural: labels, or values of a number."""
        return _ANSWERS[self.outputs]


@dataclass(frozen=True)
class Quantised:
    """What int8 costs compared with fp32, as shares of the same images."""

    images: int
    agreement: float
    """Share of images with the same answer."""
    fp32: Measure | None
    """The score of the task, such as the accuracy; None if none of the evaluated images can be read, whose
    labels are known."""
    int8: Measure | None
    outputs: str = "probabilities"
    """What was compared: probabilities or values."""

    @property
    def same(self) -> str:
        """The agreement in words, as an object of `give`."""
        return f"{_SAME[self.outputs]} for {100 * self.agreement:.1f} %"


def compared(
    theirs: Sequence[Floats], ours: Sequence[Floats], sample: Sample, task: Task, *, times: float = 1.0
) -> Parity:
    """Compare the outputs that two models give for each image of a sample, and for some further images.

    Args:
        theirs: outputs of the exported file.
        ours: outputs of the model.
        sample: the images.
        task: the model's task.
        times: how many times `allowed_difference` they may differ.

    Raises:
        ExportError: they differ by more, or in an answer.
    """
    outputs = OUTPUTS[task.link]
    allowed = times * allowed_difference(ours, task)
    gap = max(float(np.abs(a - b).max()) for a, b in zip(theirs, ours, strict=True))
    agreement = same_answers(theirs, ours, task, allowed)
    if gap > allowed or agreement < 1:
        raise ExportError(
            f"the exported graph differs from the model on {sample.text}: {outputs} differ by up to "
            f"{gap:.2g} (allowed: {allowed:g}), the labels are the same on {100 * agreement:.1f} %. "
            "Nothing was written; please report the network and the versions"
        )
    return Parity(len(sample.images), gap, agreement, sample, outputs)


def allowed_difference(ours: Sequence[Floats], task: Task) -> float:
    """The largest difference of an output that is rounding; see `TOLERANCE`."""
    if OUTPUTS[task.link] == "probabilities":
        return TOLERANCE
    values = np.concatenate(ours)
    return float(TOLERANCE * np.ptp(values) + _ROUNDING * np.abs(values).max())


def same_answers(theirs: Sequence[Floats], ours: Sequence[Floats], task: Task, allowed: float) -> float:
    """The share of images for which two models give the same answer.

    Answers that a threshold or a rounded number divides are the same if no output differs by more than what
    is allowed.
    """
    is_ranked = task.link == "softmax" and not has_limits(task)
    same = [
        task.answer(a).text == task.answer(b).text or (not is_ranked and np.abs(a - b).max() <= allowed)
        for a, b in zip(theirs, ours, strict=True)
    ]
    return float(np.mean(same))


@dataclass(frozen=True)
class Trial:
    """What the example has said about image files."""

    images: int
    """Number of images about which the example said the same as the exported file."""
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
        said = _said(printed, name, model.task)
        if not said and number >= len(made):
            unread.append(kind)
        elif name not in rows or not _agrees(said, rows[name], model.task):
            raise ExportError(_difference(kind, said, rows.get(name), is_made=number < len(made)))
    return Trial(len(images) - len(unread), tuple(unread))


def _said(printed: str, name: str, task: Task) -> dict[str, str]:
    """What the example has printed about an image: labels with percentages, or a number."""
    if OUTPUTS[task.link] == "probabilities":
        return dict(re.findall(rf"^{name}: ((?s:.*?)) ([\d.]+%)$", printed, re.MULTILINE))
    return dict.fromkeys(
        task.outputs, *re.findall(rf"^{name}: (\S+)(?: \(.*\))?$", printed, re.MULTILINE)[:1]
    )


def _agrees(said: Mapping[str, str], row: Prediction, task: Task) -> bool:
    """Whether the answer is the same, and the printed outputs, which are rounded, are close."""
    outputs = dict(zip(task.outputs, row.outputs, strict=True))
    named = {label.removeprefix(NONE): _number(text) for label, text in said.items()}
    is_close = [
        label in outputs and abs(value - outputs[label]) <= TOLERANCE * max(1.0, abs(outputs[label]))
        for label, value in named.items()
    ]
    present = [label for label in said if not label.startswith(NONE)]
    right = {
        "softmax": present[:1] == ([row.label] if row.label else []) or _is_at_limit(row, task),
        "sigmoid": set(present) == set(row.answer.facts.get("labels", ())),
        "identity": True,
    }[task.link]
    return bool(said) and all(is_close) and right


def has_limits(task: Task) -> bool:
    """Whether answers of classes depend on a threshold, at which rounding can change them."""
    return isinstance(task, Classification) and (task.threshold is not None or task.reject_below is not None)


def _is_at_limit(row: Prediction, task: Task) -> bool:
    """Whether rounding can change the answer."""
    if not isinstance(task, Classification) or not has_limits(task):
        return False
    limits = [one for one in (task.threshold, task.reject_below) if one is not None]
    ends = [*limits, *(1 - one for one in limits)]
    return bool(np.abs(np.subtract.outer(row.outputs, ends)).min() <= TOLERANCE)


def _number(text: str) -> float:
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def _difference(kind: str, said: Mapping[str, str], row: Prediction | None, *, is_made: bool) -> str:
    theirs = ", ".join(f"{label} ({text})" for label, text in list(said.items())[:3]) or "nothing"
    ours = f"{row.label} ({', '.join(row.answer.cells.values())})" if row else "that it can't be read"
    advice = "please report the versions of Pillow and ONNX Runtime"
    if not is_made:
        advice = "compare on other images with --images, or report the image"
    return (
        f"example.py says {theirs} about an image of the kind {kind}, but the model says "
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
