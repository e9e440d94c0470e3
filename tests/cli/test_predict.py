"""Predictions in blocks: what an interruption leaves, and what the same command makes of it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regraft.cli.terminal import prediction_request
from regraft.cli.terminal.answering import answer
from regraft.cli.terminal.prediction_request import PredictionRequest, image_paths
from regraft.data.pictures.loading import LoadLimits
from regraft.errors import DataError, NoImagesError
from regraft.outputs.answers import AnswerKind
from regraft.prediction.predictions import Prediction, Predictions
from regraft.progress import Silent
from regraft.records import SkippedFile
from regraft.tasks.classification import Classification
from tests.data.archives.made import zip_of

TASK = Classification.of(["cat", "dog"])
PATHS = tuple(f"{number}.jpg" for number in range(7))


class _Model:
    """Answers by a path's number; image 3 can't be read, and the block with a given path is interrupted."""

    task, labels = TASK, TASK.outputs

    def __init__(self, interrupted_at: str | None = None) -> None:
        self.asked: list[str] = []
        self._interrupted_at = interrupted_at

    def predict(self, block: Sequence[str], **_: Any) -> Predictions:
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
    monkeypatch.setattr(prediction_request, "BLOCK_IMAGES", 2)


def _request(folder: Path, out: Path | None, paths: Sequence[str] = PATHS) -> PredictionRequest:
    (folder / "model.onnx").touch()
    limits, model = LoadLimits(), str(folder / "model.onnx")
    return PredictionRequest(
        model, (), tuple(paths), str(out) if out else None, "fp32", "auto", limits, False, Silent()
    )


def _answer(model: Any, out: Path | None, folder: Path, paths: Sequence[str] = PATHS) -> int:
    request = _request(folder, out, paths)
    return answer(model, request, top=2, reject_below=None, as_json=False)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_the_same_command_resumes_to_the_same_bytes(tmp_path: Path, kind: AnswerKind) -> None:
    _answer(_Model(), tmp_path / f"whole.{kind}", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        _answer(_Model(interrupted_at="4.jpg"), tmp_path / f"again.{kind}", tmp_path)
    resumed = _Model()
    assert _answer(resumed, tmp_path / f"again.{kind}", tmp_path) == 0
    assert tuple(resumed.asked) == PATHS[4:]
    for name in (f"whole.{kind}", f"whole.{kind}.skipped.csv"):
        assert (tmp_path / name.replace("whole", "again")).read_bytes() == (tmp_path / name).read_bytes()


def test_an_output_in_the_folder_of_the_images_is_resumed_too(tmp_path: Path) -> None:
    request = _request(tmp_path, tmp_path / "p.csv", [str(tmp_path / "1.jpg")])
    folder_too = replace(request, given=(str(tmp_path),))
    before = folder_too.key()
    (tmp_path / "something").mkdir()
    assert folder_too.key() == before


def test_standard_output_has_one_header(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _answer(_Model(), None, tmp_path) == 0
    _answer(_Model(), tmp_path / "p.csv", tmp_path)
    assert capfdbinary.readouterr().out == (tmp_path / "p.csv").read_bytes()


def test_the_header_is_whole_where_no_image_is_readable(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert _answer(_Model(), None, tmp_path, ["3.jpg"]) == 1
    assert capfdbinary.readouterr().out == b"path,label,probability,label_2,probability_2\n"


def test_no_images_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoImagesError, match="no images were found in an empty list"):
        _answer(_Model(), None, tmp_path, [])


def test_files_stand_for_those_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("new/deep").mkdir(parents=True)
    for name in ("new/2.png", "new/deep/1.png"):
        Image.new("RGB", (2, 2)).save(name)
    Path("a.zip").write_bytes(zip_of(("x/1.png", b"x")))
    assert list(image_paths(["new", "a.zip", "gone.jpg"])) == [
        "new/2.png", "new/deep/1.png", "a.zip/x/1.png", "gone.jpg",
    ]  # fmt: skip
    assert list(image_paths(["n*", "*.zip"])) == ["new/2.png", "new/deep/1.png", "a.zip/x/1.png"]


def test_a_damaged_archive_in_a_list_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "a.zip"
    damaged.write_bytes(b"PK\3\4 and nothing more")
    listed = io.TextIOWrapper(io.BytesIO(os.fsencode(damaged) + b"\nb.jpg\n"))
    monkeypatch.setattr(sys, "stdin", listed)
    assert list(image_paths(["/dev/stdin"])) == [str(damaged), "b.jpg"]
    with pytest.raises(DataError, match="is not read: damaged"):
        list(image_paths([str(damaged)]))
