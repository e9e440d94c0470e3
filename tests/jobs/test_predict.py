"""Predictions by an executor's workers are those of one process, to the last bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regraft.cli.app import run
from regraft.cli.terminal import answering
from regraft.data.pictures.loading import LoadLimits
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.onnx_detector import OnnxDetector
from regraft.errors import ExecutionError, MachineError
from regraft.execution.local import LocalExecutor
from regraft.features.executors.executor import Shard
from regraft.features.executors.task import read_task
from regraft.jobs import predict as jobs
from regraft.jobs.predict import (
    PredictionTask,
    PredictionWorker,
    open_predictor,
    predicted_elsewhere,
    task_of,
)
from regraft.prediction.model import Model
from regraft.prediction.onnx_model import OnnxModel
from regraft.prediction.predictions import Predictions
from regraft.progress import Silent
from tests.conftest import DigitsRun
from tests.data.archives.made import zip_of


@pytest.fixture
def files(digits: Path, tmp_path: Path) -> list[str]:
    """Twenty images, one of them in an archive, and three that can't be used."""
    found = [str(path) for path in sorted(digits.rglob("*.png"))[::25]][:19]
    (tmp_path / "a.zip").write_bytes(zip_of(("x/1.png", Path(found[0]).read_bytes())))
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    return [
        *found,
        *(str(tmp_path / name) for name in ("a.zip/x/1.png", "empty.png", "text.png", "gone.png")),
    ]


def elsewhere(
    model: Model, place: Path, blocks: Sequence[Sequence[str]], limits: LoadLimits | None = None
) -> list[Predictions]:
    task = task_of(model, place, limits=limits, reporter=Silent())
    executor = LocalExecutor(opener=open_predictor)
    return list(predicted_elsewhere(model, task, blocks, executor, reporter=Silent(), meter=Silent()))


def alike(one: Predictions, other: Predictions) -> bool:
    """Whether two predictions have the same files, reasons, answers and bits."""
    assert [row.path for row in one] == [row.path for row in other]
    assert one.skipped == other.skipped
    assert [row.answer for row in one] == [row.answer for row in other]
    return all(mine.outputs.tobytes() == its.outputs.tobytes() for mine, its in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["probe", "svm", "tuned", "climbed"])
def test_workers_predict_what_one_process_predicts(
    kind: str, digits_run: DigitsRun, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_SHARD_IMAGES", 4)
    folder, model = digits_run(kind).folder, digits_run(kind).model
    found = elsewhere(model, folder, [files[:9], files[9:]])
    assert alike(found[0], model.predict(files[:9]))
    assert alike(found[1], model.predict(files[9:]))
    assert [Path(file.path).name for file in found[1].skipped] == ["empty.png", "text.png", "gone.png"]


def test_the_loaders_limits_reach_the_workers(digits_run: DigitsRun, files: list[str]) -> None:
    one = digits_run("probe")
    limits = LoadLimits(max_megapixels=1e-5)
    (found,) = elsewhere(one.model, one.folder, [files[:2]], limits)
    assert alike(found, one.model.predict(files[:2], limits=limits))
    assert len(found.skipped) == 2


def test_blocks_come_in_their_order_whatever_comes_first(digits_run: DigitsRun, files: list[str]) -> None:
    one = digits_run("probe")

    class Backwards(LocalExecutor):
        def run(self, task, shards, reporter, meter):  # type: ignore[no-untyped-def]
            yield from reversed(list(super().run(task, shards, reporter, meter)))

    task = task_of(one.model, one.folder, reporter=Silent())
    blocks = [files[:3], files[3:5], files[5:6]]
    found = predicted_elsewhere(
        one.model, task, blocks, Backwards(opener=open_predictor), reporter=Silent(), meter=Silent()
    )
    assert [[row.path for row in each] for each in found] == blocks


def test_a_path_that_is_relative_means_the_same_in_a_worker(
    digits_run: DigitsRun, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = digits_run("probe")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copy(files[0], folder / "a.png")
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "a.png").write_text("another file")
    monkeypatch.chdir(tmp_path)
    (found,) = elsewhere(one.model, one.folder, [["link/../elsewhere/a.png"]])
    assert [row.path for row in found] == ["link/../elsewhere/a.png"]


def probe_task(digits_run: DigitsRun) -> PredictionTask:
    one = digits_run("probe")
    return task_of(one.model, one.folder, reporter=Silent())


def test_a_task_survives_as_text(digits_run: DigitsRun) -> None:
    task = probe_task(digits_run)
    assert read_task(task.to_json(), PredictionTask) == task
    with pytest.raises(ExecutionError, match="not a task of prediction: identity"):
        read_task(json.dumps({**json.loads(task.to_json()), "identity": "x"}), PredictionTask)


def test_a_worker_that_has_no_model_or_another_one_refuses(digits_run: DigitsRun, tmp_path: Path) -> None:
    task = probe_task(digits_run)
    with pytest.raises(ExecutionError, match=r"node b can't read the model .*gone.*same path"):
        PredictionWorker(task.model_copy(update={"model": str(tmp_path / "gone")}), name="node b")
    with pytest.raises(ExecutionError, match=r"node b has another model at .*expected 0000"):
        PredictionWorker(task.model_copy(update={"identity": "0" * 64}), name="node b")


def test_a_worker_whose_network_is_damaged_refuses(digits_run: DigitsRun, tmp_path: Path) -> None:
    task = probe_task(digits_run)
    shutil.copytree(task.model, tmp_path / "copy")
    (network,) = (tmp_path / "copy" / "bundle").glob("network*.safetensors")
    network.write_bytes(network.read_bytes()[:-1] + b"!")
    with pytest.raises(ExecutionError, match="is missing or damaged"):
        PredictionWorker(task.model_copy(update={"model": str(tmp_path / "copy")}))


def test_a_machine_of_another_kind_is_refused_unless_it_is_accepted(digits_run: DigitsRun) -> None:
    task = probe_task(digits_run)
    (name,) = (name for name in task.facts if name.startswith("cpu of lenet5 "))
    other = task.model_copy(update={"facts": {**task.facts, name: "Another"}})
    with pytest.raises(MachineError, match=rf'node b .*\({name}: expected "Another", found .*mixed_machines'):
        PredictionWorker(other, name="node b")
    PredictionWorker(other, name="node b", is_mixed=True)


def test_an_image_that_kills_workers_is_skipped_with_the_reason(
    digits_run: DigitsRun, files: list[str]
) -> None:
    one = digits_run("probe")

    class Deadly(LocalExecutor):
        def run(self, task, shards, reporter, meter):  # type: ignore[no-untyped-def]
            for shard, rows in super().run(task, shards, reporter, meter):
                kept = replace(rows, keys=rows.keys[1:], rows=rows.rows[1:])
                yield shard, replace(kept, failed={rows.keys[0]: "3 workers died"})

    task = task_of(one.model, one.folder, reporter=Silent())
    (found,) = predicted_elsewhere(
        one.model, task, [files[:3]], Deadly(opener=open_predictor), reporter=Silent(), meter=Silent()
    )
    assert [(file.path, file.reason) for file in found.skipped] == [(files[0], "3 workers died")]
    assert [row.path for row in found] == files[1:3]


def test_outputs_have_the_width_of_the_task_where_no_image_can_be_used(digits_run: DigitsRun) -> None:
    rows = PredictionWorker(probe_task(digits_run)).compute(Shard(("0/0",), ("/gone.png",)))
    assert rows.rows.shape == (0, 3)
    assert rows.rows.dtype == np.float64


@pytest.fixture
def by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--executor ray` means the local executor."""
    local = LocalExecutor(opener=open_predictor)
    found = {"local": None, "ray": local}
    monkeypatch.setattr(answering, "find_executor", lambda text, **_: found[text])


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl", "answers.parquet"])
def test_the_command_writes_the_same_bytes(
    name: str, digits_run: DigitsRun, files: list[str], tmp_path: Path, by_workers: None
) -> None:
    folder = str(digits_run("probe").folder)
    here, there = tmp_path / "here" / name, tmp_path / "there" / name
    here.parent.mkdir()
    there.parent.mkdir()
    assert run(["predict", folder, *files, "-o", str(here)]) == 0
    assert run(["predict", folder, *files, "-o", str(there), "--executor", "ray"]) == 0
    assert there.read_bytes() == here.read_bytes()
    listed = [Path(f"{one}.skipped.csv").read_bytes() for one in (here, there)]
    assert listed[0] == listed[1]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (
            OnnxModel,
            "m is an exported file; give the run folder that it was exported from, or remove",
        ),
        (OnnxDetector, "m finds boxes; remove --executor"),
        (Detector, "m finds boxes; remove --executor"),
    ],
)
def test_the_command_says_which_models_are_not_handed_out(
    kind: type, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("regraft.detection.detectors.opening.load_model", lambda _: object.__new__(kind))
    assert run(["predict", "m", "a.png", "--executor", "ray"]) == 2
    assert why in capsys.readouterr().err


def test_machines_can_be_mixed_only_where_there_are_several(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "m", "a.png", "--mixed-machines"]) == 2
    assert "it needs --executor ray" in capsys.readouterr().err
