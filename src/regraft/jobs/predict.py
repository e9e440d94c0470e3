"""Predictions for many images by an executor's workers, each of which opens the whole model.

A worker sends back a model's outputs, a few numbers for each image, so that neither rows nor pixels pass
through the process that asked. It opens the model as `load_model` does: from a bundle, whose files have the
hashes that its record states, and whose record has the hash that the task states.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from regraft.data.image_like import ImageSource
from regraft.data.pictures.loading import LoadLimits
from regraft.errors import BundleError, ExecutionError
from regraft.features.executors.executor import Executor, Shard, ShardRows
from regraft.features.executors.task import Task, absolute, read_task
from regraft.features.runtimes import Runtime, RuntimeName
from regraft.prediction.bundle import load_bundle, model_identity
from regraft.prediction.model import Model
from regraft.prediction.predictions import Prediction, Predictions
from regraft.progress import Meter, Reporter
from regraft.records import Precision, Sha256, SkippedFile
from regraft.version import VERSION

_SHARD_IMAGES = 256  # a few seconds of one core


class PredictionTask(Task):
    """Which model predicts, and how: all that a process needs besides the images."""

    what: ClassVar[str] = "a task of prediction"

    model: str
    """Path of the run folder or bundle, which every worker must be able to read."""
    identity: Sha256
    """SHA-256 of the bundle's record, which holds those of all its other files."""


class PredictionWorker:
    """Predicts the images of shards in this process.

    Args:
        task: which model predicts, and how.
        name: what the worker is called in messages.
        is_mixed: whether outputs that differ in their last digits are accepted.

    Raises:
        MachineError: this machine would compute other bits than the task expects.
        ExecutionError: the model can't be read here, or is another one.
    """

    def __init__(self, task: PredictionTask, *, name: str = "this machine", is_mixed: bool = False) -> None:
        self._task = task
        try:
            identity, self._model = model_identity(task.model), load_bundle(task.model)
        except (BundleError, OSError) as error:
            raise ExecutionError(
                f"{name} can't read the model {task.model}: {error}. Put it where all machines find it under "
                "the same path"
            ) from error
        if identity != task.identity:
            raise ExecutionError(
                f"{name} has another model at {task.model}: sha256 of its record {identity[:16]}…, expected "
                f"{task.identity[:16]}…. Copy the same run folder to all machines"
            )
        engines = self._model.engines(
            precision=task.precision, runtime=task.runtime, device=task.device, threads=task.threads
        )
        if not is_mixed:
            task.check(_facts(engines), where=name)

    def compute(self, shard: Shard) -> ShardRows:
        """The outputs for each image, and the reasons of those that can't be used."""
        task = self._task
        images = [ImageSource(*pair) for pair in zip(shard.keys, shard.paths, strict=True)]
        skipped: list[SkippedFile] = []
        predictions = dict(
            self._model.stream(
                images,
                skipped,
                precision=task.precision,
                runtime=task.runtime,
                limits=task.limits,
                device=task.device,
                threads=task.threads,
            )
        )
        places = sorted(predictions)
        outputs = [predictions[place].outputs for place in places]
        rows = np.array(outputs, dtype=np.float64).reshape(len(places), task.width)
        failed = {file.path: file.reason for file in skipped}
        return ShardRows(tuple(shard.keys[place] for place in places), rows, failed)


def open_predictor(task: str, *, name: str, is_mixed: bool) -> PredictionWorker:
    """A worker for the text of a task of prediction; see `Opener`."""
    return PredictionWorker(read_task(task, PredictionTask), name=name, is_mixed=is_mixed)


def task_of(
    model: Model,
    place: str | Path,
    *,
    precision: Precision = "fp32",
    runtime: RuntimeName = "auto",
    limits: LoadLimits | None = None,
    reporter: Reporter,
) -> PredictionTask:
    """The task of predicting with a saved model as this process would do it.

    Args:
        model: the model.
        place: the run folder or bundle that it was loaded from.
        precision: arithmetic of the networks.
        runtime: the library that runs the networks.
        limits: limits of the loader.
        reporter: receives the choice of the runtime.
    """
    engines = model.engines(precision=precision, runtime=runtime, reporter=reporter)
    source = engines[model.weights.sha256].source
    assert source is not None
    limits = limits or LoadLimits()
    return PredictionTask(
        version=VERSION,
        runtime=source.runtime,
        precision=precision,
        device=source.device,
        threads=source.threads,
        max_megapixels=limits.max_megapixels,
        max_file_mb=limits.max_file_mb,
        width=len(model.labels),
        facts=_facts(engines),
        model=absolute(place),
        identity=model_identity(place),
    )


def _facts(engines: Mapping[str, Runtime]) -> dict[str, Any]:
    """What the bits of a model's outputs depend on, as in JSON, by names that tell its networks apart."""
    found = {
        f"{name} of {engine.facts['network']} {sha256[:8]}": value
        for sha256, engine in engines.items()
        for name, value in engine.facts.items()
    }
    as_in_json: dict[str, Any] = json.loads(json.dumps(found))
    return as_in_json


def predicted_elsewhere(
    model: Model,
    task: PredictionTask,
    blocks: Sequence[Sequence[str]],
    executor: Executor,
    *,
    reporter: Reporter,
    meter: Meter,
) -> Iterator[Predictions]:
    """The predictions for each block of files, in the order of the blocks, by an executor's workers.

    Args:
        model: the model, which says what its outputs mean.
        task: the task, from `task_of`.
        blocks: paths of images, and of members of archives.
        executor: hands out the work.
        reporter: receives what happens to workers.
        meter: counts images as they are done.
    """
    answers = [_Answers(tuple(block)) for block in blocks]
    first = 0
    for shard, found in executor.run(task, _shards(answers), reporter, meter):
        number = int(shard.keys[0].partition("/")[0])
        answers[number].add(found)
        while first < len(answers) and answers[first].is_whole:
            yield answers[first].predictions(model)
            answers[first].clear()
            first += 1


def _shards(answers: Sequence[_Answers]) -> Iterator[Shard]:
    """The images of all blocks; each is called by its block's number and its place there."""
    folder = os.getcwd()
    for number, one in enumerate(answers):
        for start in range(0, len(one.paths), _SHARD_IMAGES):
            places = range(start, min(start + _SHARD_IMAGES, len(one.paths)))
            # Not made absolute by text alone: `..` after a link would lead elsewhere.
            paths = (os.path.join(folder, one.paths[place]) for place in places)
            yield Shard(tuple(f"{number}/{place}" for place in places), tuple(paths))


@dataclass
class _Answers:
    """What has come of a block's images."""

    paths: tuple[str, ...]

    def __post_init__(self) -> None:
        self.outputs: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
        self.reasons: dict[int, str] = {}

    @property
    def is_whole(self) -> bool:
        """Whether every image has outputs or a reason."""
        return len(self.outputs) + len(self.reasons) == len(self.paths)

    def add(self, found: ShardRows) -> None:
        """Take in what came of a shard."""
        self.outputs |= {_place(key): row for key, row in zip(found.keys, found.rows, strict=True)}
        self.reasons |= {_place(key): reason for key, reason in {**found.failed, **found.unread}.items()}

    def predictions(self, model: Model) -> Predictions:
        """The same as `Model.predict` answers."""
        rows = (Prediction.of(self.paths[at], self.outputs[at], model.task) for at in sorted(self.outputs))
        skipped = (SkippedFile(self.paths[at], self.reasons[at]) for at in sorted(self.reasons))
        return Predictions(model.labels, tuple(rows), tuple(skipped))

    def clear(self) -> None:
        """Forget the answers, which have been written."""
        self.outputs.clear()
        self.reasons.clear()


def _place(key: str) -> int:
    return int(key.partition("/")[2])
