"""What `regraft predict` does with a classifier or another model of whole images: answers, block by block."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from regraft.cli.terminal.prediction_request import PredictionRequest
from regraft.errors import SettingsError
from regraft.execution.choosing import find_executor
from regraft.jobs.predict import open_predictor, predicted_elsewhere, task_of
from regraft.outputs.answers import AnswerFile, AnswerKind
from regraft.outputs.files import PREDICTION_LINES, PREDICTION_TABLE, PREDICTIONS, SKIPPED, output_file
from regraft.prediction.model import Model
from regraft.prediction.onnx_model import OnnxModel
from regraft.prediction.predictions import Predictions
from regraft.progress import Reporter, Silent
from regraft.records import SkippedFile
from regraft.storage.tables import csv_bytes, printable
from regraft.tasks.task import Answer, Task
from regraft.tasks.wishes import rejecting

_Line = tuple[str, Answer]
_MOST_TOLD = 21


class Answers(Protocol):
    """Where answers go: a file, or standard output."""

    @property
    def done(self) -> int:
        """The number of blocks that are there."""

    def add(self, number: int, lines: Sequence[_Line], skipped: Sequence[SkippedFile]) -> None:
        """Take the answers of a block."""

    def finish(self) -> None:
        """All blocks are there."""


@dataclass(frozen=True)
class _InFile:
    """Answers in a file, which is written when all are there."""

    file: AnswerFile

    @property
    def done(self) -> int:
        return self.file.blocks.done

    def add(self, number: int, lines: Sequence[_Line], skipped: Sequence[SkippedFile]) -> None:
        rows = [{"path": path, **answer.cells} for path, answer in lines]
        as_lines = _json_lines(lines) if self.file.kind == "jsonl" else b""
        self.file.add(number, rows, as_lines, [(file.path, file.reason) for file in skipped])

    def finish(self) -> None:
        self.file.finish()


@dataclass(frozen=True)
class _Printed:
    """Answers on standard output, as they come."""

    kind: AnswerKind
    header: tuple[str, ...]
    done: int = 0

    def add(self, number: int, lines: Sequence[_Line], skipped: Sequence[SkippedFile]) -> None:
        rows = [[path, *answer.cells.values()] for path, answer in lines]
        table = csv_bytes(self.header, rows) if number == 0 else csv_bytes((), rows).split(b"\n", 1)[1]
        del skipped  # which warnings name
        sys.stdout.flush()
        sys.stdout.buffer.write(_json_lines(lines) if self.kind == "jsonl" else table)

    def finish(self) -> None:
        sys.stdout.buffer.flush()


def answer(
    model: Model | OnnxModel,
    request: PredictionRequest,
    *,
    top: int,
    reject_below: float | None,
    as_json: bool,
) -> int:
    """Answer the images of a request; returns the exit code.

    Args:
        model: a model of whole images.
        request: the images, and where the answers go.
        top: the number of labels for each image.
        reject_below: the least probability of an answer; None means that of the model.
        as_json: whether answers are lines of JSON, whatever the output is called.

    Raises:
        RegraftError: the output can't be written, or a value is not accepted.
    """
    kind = _kind_of(request.out, as_json=as_json)
    if request.out is not None:
        written = {"csv": PREDICTIONS, "jsonl": PREDICTION_LINES, "parquet": PREDICTION_TABLE}[kind]
        output_file(request.out, written, inputs=request.inputs, overwrite=request.overwrite)
        skipped_file = f"{request.out}.skipped.csv"
        output_file(skipped_file, SKIPPED, inputs=request.inputs, overwrite=request.overwrite)
    if not 1 <= top <= len(model.labels):
        raise SettingsError(f"--top {top} is outside of 1 to {len(model.labels)}, the number of labels")
    task = rejecting(model.task, reject_below)
    header = _header(task, top)
    blocks = request.blocks()
    if request.out is None:
        return write_all(model, request, blocks, task, _Printed(kind, header), top)
    file = AnswerFile(Path(request.out), kind, request.key(top, reject_below, kind), header)
    return write_all(model, request, blocks, task, _InFile(file), top)


def write_all(
    model: Model | OnnxModel,
    request: PredictionRequest,
    blocks: Sequence[Sequence[str]],
    task: Task,
    answers: Answers,
    top: int,
) -> int:
    """Answer block by block, so that memory is bounded; returns the exit code."""
    reporter, done = request.reporter, answers.done
    request.tell_resumed(done)
    skipped: list[SkippedFile] = []
    count = lost = 0
    with contextlib.ExitStack() as stack:
        for number, found in enumerate(_answered(model, request, blocks, done, stack), start=done):
            lines = [(row.path, task.answer(row.outputs, top=top)) for row in found.rows]
            answers.add(number, lines, found.skipped)
            skipped += found.skipped[: max(0, _MOST_TOLD - len(skipped))]
            count, lost = count + len(lines), lost + len(found.skipped)
    answers.finish()
    if request.out is not None:
        total = f"predictions for {len(request.paths):,} images" if done else f"{count:,} predictions"
        reporter.note(f"wrote {total} to {request.out}")
    request.tell_skipped(skipped, lost)
    return 0 if count or done else 1


def _answered(
    model: Model | OnnxModel,
    request: PredictionRequest,
    blocks: Sequence[Sequence[str]],
    done: int,
    stack: contextlib.ExitStack,
) -> Iterator[Predictions]:
    """The predictions for each block that is not done, with a bar that ends with the stack."""
    executor = find_executor(request.executor, is_mixed=request.is_mixed, opener=open_predictor)
    is_long, blocks = len(blocks) > 1, blocks[done:]
    left = sum(map(len, blocks))
    if executor is not None and left:
        assert isinstance(model, Model)
        reporter = request.reporter
        task = task_of(
            model,
            request.model,
            precision=request.precision,
            runtime=request.runtime,
            limits=request.limits,
            reporter=reporter,
        )
        meter = stack.enter_context(reporter.phase("predicting", left))
        yield from predicted_elsewhere(model, task, blocks, executor, reporter=reporter, meter=meter)
        return
    meter = stack.enter_context(request.reporter.phase("predicting", left)) if is_long else Silent()
    for block in blocks:
        yield _answered_here(model, request, block, Silent() if is_long else request.reporter)
        meter.advance(len(block))


def _answered_here(
    model: Model | OnnxModel, request: PredictionRequest, block: Sequence[str], reporter: Reporter
) -> Predictions:
    if isinstance(model, OnnxModel):
        return model.predict(block, limits=request.limits)
    return model.predict(
        block,
        precision=request.precision,
        runtime=request.runtime,
        limits=request.limits,
        reporter=reporter,
    )


def _header(task: Task, top: int) -> tuple[str, ...]:
    """The names of the columns, which are the same for all images."""
    return ("path", *task.answer(np.full(len(task.outputs), 1 / len(task.outputs)), top=top).cells)


def _kind_of(out: str | None, *, as_json: bool) -> AnswerKind:
    if out is not None and out.endswith(".parquet"):
        return "parquet"
    return "jsonl" if as_json or (out or "").endswith((".jsonl", ".json")) else "csv"


def _json_lines(lines: Sequence[_Line]) -> bytes:
    records = ({"path": printable(path), **found.facts} for path, found in lines)
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
