"""Exported files of models of each task, which were put together by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import regraft
from regraft.errors import ExportError
from regraft.export.export import Exported, export_model
from regraft.export.parity import compared, same_answers
from regraft.export.samples import Sample, made_up
from regraft.prediction.onnx_model import OnnxModel
from tests.prediction.models import TASKS, model_of

pytestmark = pytest.mark.slow

LINKS = pytest.mark.parametrize("link", TASKS)
IMAGES = list(made_up(1, 9))
SAMPLE = Sample((b"",), "images")


@pytest.fixture(scope="module")
def exported(shared_graphs: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """The ONNX file of each model, whose example has been run."""

    def export(link: str) -> Exported:
        folder = tmp_path_factory.mktemp(link)
        return export_model(model_of(link).save(folder / "bundle"), folder / "out")

    return cache(export)


@LINKS
def test_the_file_answers_what_the_model_answers(link: str, exported: Callable[[str], Exported]) -> None:
    model, done = model_of(link), exported(link)
    theirs, ours = regraft.load_model(done.folder).predict(IMAGES), model.predict(IMAGES)
    scale = max(1.0, np.ptp([row.outputs for row in ours]))
    for one, other in zip(theirs, ours, strict=True):
        assert one.outputs == pytest.approx(other.outputs, abs=1e-4 * scale)
        if link != "identity":
            assert one.label == other.label
    assert done.trial is not None
    assert done.trial.images >= 15


@LINKS
def test_the_graph_says_what_its_output_is(link: str, exported: Callable[[str], Exported]) -> None:
    file = exported(link).file
    assert OnnxModel(file).task == TASKS[link]
    session = onnxruntime.InferenceSession(str(file))
    (output,) = session.get_outputs()
    assert output.name == ("values" if link == "identity" else "probabilities")
    facts = json.loads(session.get_modelmeta().custom_metadata_map["regraft"])
    assert ("task" in facts) == (link != "softmax")


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("softmax", ("# 3 classes", "classifies images", "probabilities within")),
        ("sigmoid", ("# 3 labels", "| heavy rain | 0.500 |", "| sun | 0.800 |", "`(N, 3) float32`")),
        ("identity", ("# a number", "within 25 of the predicted one", "`values`", "it gives values within")),
    ],
)
def test_the_card_describes_the_task(
    link: str, words: tuple[str, ...], exported: Callable[[str], Exported]
) -> None:
    card = (exported(link).folder / "README.md").read_text()
    assert not [word for word in words if word not in card]


@LINKS
def test_the_example_says_what_the_task_says(
    link: str, exported: Callable[[str], Exported], tmp_path: Path
) -> None:
    program, model = exported(link).folder / "example.py", OnnxModel(exported(link).file)
    places = [tmp_path / f"{number}.png" for number in range(len(IMAGES))]
    for place, data in zip(places, IMAGES, strict=True):
        place.write_bytes(data)
    done = subprocess.run([sys.executable, str(program), *map(str, places)], capture_output=True, text=True)
    for row in model.predict(places):
        own = [line for line in done.stdout.splitlines() if line.startswith(f"{row.path}: ")]
        words = [line.removeprefix(f"{row.path}: ").rsplit(" ", 1)[0] for line in own]
        if link == "softmax":
            assert (len(own), words[0]) == (3, row.label)
        elif link == "sigmoid":
            present = [word for word in words if not word.startswith("no label")]
            assert sorted(present) == sorted(row.answer.facts["labels"])
        else:
            number = float(own[0].split()[1])
            assert number == pytest.approx(row.outputs[0], rel=1e-5)
            assert own[0].endswith("in 90 % of images)")


def test_numbers_may_differ_by_a_share_of_their_range() -> None:
    task = TASKS["identity"]
    ours = [np.array([1_000.0]), np.array([1_100.0])]
    parity = compared([np.array([1_000.0]), np.array([1_100.005])], ours, SAMPLE, task)
    assert parity.largest_difference == pytest.approx(0.005)
    assert parity.agreement == 1
    with pytest.raises(ExportError, match=r"values differ by up to 0\.05 \(allowed: 0\.0111\)"):
        compared([np.array([1_000.0]), np.array([1_100.05])], ours, SAMPLE, task)


def test_a_label_at_its_threshold_is_the_same_answer_a_class_is_not() -> None:
    ours, theirs = [np.array([0.1, 0.50001, 0.1])], [np.array([0.1, 0.49999, 0.1])]
    assert same_answers(theirs, ours, TASKS["sigmoid"], 1e-4) == 1
    assert same_answers(theirs, ours, TASKS["sigmoid"], 1e-6) == 0
    close = [np.array([0.5, 0.49999, 0.0])], [np.array([0.49999, 0.5, 0.0])]
    assert same_answers(*close, TASKS["softmax"], 1e-4) == 0
