"""Predictions in blocks: what an interruption leaves, and what the same command makes of it."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from regraft.cli.commands.predict import _write_all
from regraft.outputs import answers as answers_module
from regraft.outputs.answers import AnswerFile, AnswerKind
from regraft.prediction.predictions import Prediction, Predictions
from regraft.progress import Silent
from regraft.records import SkippedFile
from regraft.tasks.classification import Classification

TASK = Classification.of(["cat", "dog"])
PATHS = [f"{number}.jpg" for number in range(7)]


class _Model:
    """Answers by a path's number; image 3 can't be read, and the block with a given path is interrupted."""

    def __init__(self, interrupted_at: str | None = None) -> None:
        self.asked: list[str] = []
        self._interrupted_at = interrupted_at

    def answered(self, block: Sequence[str]) -> Predictions:
        if self._interrupted_at in block:
            raise KeyboardInterrupt
        self.asked += block
        rows = [
            Prediction.of(path, np.array([int(path[0]) / 10, 1 - int(path[0]) / 10]), TASK)
            for path in block
            if path != "3.jpg"
        ]
        skipped = (SkippedFile("3.jpg", "empty file"),) if "3.jpg" in block else ()
        return Predictions(TASK.outputs, tuple(rows), skipped)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "BLOCK_IMAGES", 2)


def _write(model: _Model, path: Path | None, kind: AnswerKind) -> int:
    file = AnswerFile(path, kind, "a" * 64) if path else None
    return _write_all(PATHS, model.answered, TASK, file, kind, 2, Silent())


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_the_same_command_resumes_to_the_same_bytes(tmp_path: Path, kind: AnswerKind) -> None:
    _write(_Model(), tmp_path / f"whole.{kind}", kind)
    with pytest.raises(KeyboardInterrupt):
        _write(_Model(interrupted_at="4.jpg"), tmp_path / f"again.{kind}", kind)
    resumed = _Model()
    assert _write(resumed, tmp_path / f"again.{kind}", kind) == 0
    assert resumed.asked == PATHS[4:]
    for name in (f"whole.{kind}", f"whole.{kind}.skipped.csv"):
        assert (tmp_path / name.replace("whole", "again")).read_bytes() == (tmp_path / name).read_bytes()


def test_standard_output_has_one_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    assert _write(_Model(), None, "csv") == 0
    _write(_Model(), tmp_path / "p.csv", "csv")
    assert out.buffer.getvalue() == (tmp_path / "p.csv").read_bytes()  # type: ignore[attr-defined]
