"""`regraft check` on a data set with boxes, and what `fit` and `advise` say about one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regraft.cli.app import run
from tests.detection.examples import one_picture, voc

GOOD, BAD = ("cat", 10, 20, 50, 60), ("cat", 5, 5, 5, 9)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process; gives its exit code and what it printed."""

    def called(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        return (code, *capfd.readouterr())

    return called


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return one_picture(tmp_path / "photos", {"a.xml": voc(GOOD, BAD)})


def test_it_prints_what_there_is(command: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    code, out, _ = command("check", folder, "--out", tmp_path / "problems.csv")
    assert code == 0
    assert "layout: boxes around objects, Pascal VOC XML (1 file)" in out
    assert "1 box of 1 class in 1 picture, 0 of them backgrounds (no published split)" in out
    assert "object 2, cat (5, 5, 5, 9) has no area" in (tmp_path / "problems.csv").read_text()


def test_it_prints_json(command: Callable[..., Any], folder: Path) -> None:
    code, out, _ = command("check", folder, "--json")
    record = json.loads(out)
    assert (code, record["boxes"], record["classes"]) == (0, 1, {"cat": 1})
    assert record["findings"][0]["kind"] == "zero-area"
    assert record["findings"][0]["paths"] == ["a.png", "a.xml"]


def test_rotation_and_format_can_be_chosen(command: Callable[..., Any], folder: Path) -> None:
    flags = ("--boxes-before-rotation", "--boxes-format", "voc")
    assert command("check", folder, *flags)[0] == 0
    code, _, err = command("check", folder, "--boxes-format", "coco")
    assert code == 1
    assert "has no files of the format coco; recognised: voc" in err


@pytest.mark.parametrize("verb", [["advise"], ["find-lr", "--strategy", "full"]], ids=" ".join)
def test_other_commands_say_what_is_possible(
    command: Callable[..., Any], folder: Path, verb: list[str]
) -> None:
    code, _, err = command(*verb, folder, "--offline")
    assert code == 1
    assert "holds boxes around objects (Pascal VOC XML, 1 file), and this command is for classes" in err
    assert "fits a detector by a ladder, `regraft fit --dry-run` says what it begins with" in err


def test_a_single_picture_is_too_few_to_fit_a_detector(command: Callable[..., Any], folder: Path) -> None:
    code, _, err = command("fit", folder, "--offline")
    assert code == 1
    assert "only 1 training picture has boxes; at least 2 are needed" in err


def test_folders_of_classes_stay_classes_unless_boxes_are_asked_for(
    command: Callable[..., Any], photos: Path
) -> None:
    (photos / "dark" / "0.xml").write_text(voc(GOOD).replace("a.png", "0.png"))
    assert "a folder per class" in command("check", photos)[1]
    assert "boxes around objects" in command("check", photos, "--boxes-format", "voc")[1]
