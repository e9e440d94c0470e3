"""`regraft predict` with a detector: memory is bounded, and an interruption changes no byte."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from regraft.cli.app import run
from regraft.cli.terminal import prediction_request
from regraft.detection.detectors.detector import Detector
from regraft.detection.results.marked import KeptPictures, as_lines, found_boxes
from regraft.detection.results.writing import TARGETS, BoxesTarget, boxes_place, write_boxes
from tests.detection.shapes import content

Predict = Callable[..., int]


@pytest.fixture
def predict(
    shapes_run: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Runs the command in blocks of five of the eighteen pictures, one of which is damaged."""
    monkeypatch.setattr(prediction_request, "BLOCK_IMAGES", 5)
    monkeypatch.chdir(tmp_path)
    pictures = tmp_path / "new"
    pictures.mkdir()
    for file in sorted((shapes / "images").iterdir()):
        (pictures / file.name).write_bytes(b"x" if file.name == "07.png" else file.read_bytes())
    return lambda *words: run(["predict", str(shapes_run), "new", *map(str, words)])


def _interrupted(monkeypatch: pytest.MonkeyPatch, *, after: int) -> list[Sequence[Any]]:
    """From now on a detector stops after a number of blocks; returns the blocks that it was asked for."""
    whole = Detector.predict
    asked: list[Sequence[Any]] = []

    def predicted(self: Detector, images: Sequence[Any], **settings: Any) -> Any:
        if len(asked) == after:
            raise KeyboardInterrupt
        asked.append(images)
        return whole(self, images, **settings)

    monkeypatch.setattr(Detector, "predict", predicted)
    return asked


@pytest.mark.parametrize("out", ["boxes.json", "boxes.csv", "yolo", "voc"])
def test_the_same_command_resumes_to_the_same_bytes(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    to = ["--to", out] if "." not in out else []

    def words(place: str) -> list[str]:
        return [*to, "--out", f"{place}/{out}", "--count", f"{place}/counts.csv", "--draw", f"{place}/drawn"]

    assert predict(*words("whole")) == 0
    with monkeypatch.context() as patched:
        _interrupted(patched, after=2)
        assert predict(*words("again")) == 130
    assert not (tmp_path / "again" / "counts.csv").exists()
    asked = _interrupted(monkeypatch, after=9)
    assert predict(*words("again")) == 0
    assert [os.path.basename(paths[0]) for paths in asked] == ["10.png", "15.png"]
    whole, again = content(tmp_path / "whole"), content(tmp_path / "again")
    assert again == whole
    assert len([name for name in whole if name.startswith("drawn/")]) == 17
    assert whole[f"{out}.skipped.csv"].count(b"\n") == 2


def test_the_table_is_printed_block_by_block(
    predict: Predict, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    predict("--out", "boxes.csv")
    capfdbinary.readouterr()
    assert predict() == 0
    assert capfdbinary.readouterr().out == (tmp_path / "boxes.csv").read_bytes()


@pytest.mark.parametrize("to", sorted(TARGETS))
def test_the_files_are_those_of_boxes_in_memory(
    predict: Predict, shapes_detector: Detector, tmp_path: Path, to: BoxesTarget
) -> None:
    predict("--to", to, "--out", "streamed")
    paths = [f"new/{number:02d}.png" for number in range(18)]
    blocks = [shapes_detector.predict(paths[start : start + 5]) for start in range(0, 18, 5)]
    rows = [(one.path, one.width, one.height, one.shown) for found in blocks for one in found]
    place = boxes_place(tmp_path / "held", to)
    write_boxes(found_boxes(rows, shapes_detector.labels), place, to=to)
    assert content(tmp_path / "streamed") == content(place)


def test_other_thresholds_begin_anew(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _interrupted(patched, after=2)
        assert predict("--out", "boxes.csv") == 130
    asked = _interrupted(monkeypatch, after=9)
    assert predict("--out", "boxes.csv", "--threshold", "0.9") == 0
    assert len(asked) == 4
    assert not list(tmp_path.glob(".*"))


def test_kept_pictures_are_the_same_again(shapes_detector: Detector, shapes: Path, tmp_path: Path) -> None:
    found = shapes_detector.predict(shapes / "images")
    rows = [(one.path, one.width, one.height, one.found) for one in found]
    marked = found_boxes([*rows, ("caf\udce9.png", 9, 9, rows[0][3])], found.labels).pictures
    for number, part in enumerate((marked[:7], marked[7:])):
        (tmp_path / str(number)).write_bytes(as_lines(part))
    kept = KeptPictures([tmp_path / "0", tmp_path / "1"])
    assert tuple(kept) == marked
    assert len(kept) == 19
    assert marked[0] in kept
