"""`regraft convert` and `regraft crops`: what they write and print, and how usual mistakes are answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from regraft.cli.app import run
from regraft.detection.annotations.boxes import Box
from regraft.detection.annotations.reading import read_boxes
from tests.detection.examples import one_picture, voc

Command = Callable[..., tuple[int, str, str]]
GOOD, BAD = ("cat", 10, 20, 50, 60), ("cat", 5, 5, 5, 9)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process; gives its exit code and what it printed."""

    def called(*words: object) -> tuple[int, str, str]:
        code = run([str(word) for word in words])
        return (code, *capfd.readouterr())

    return called


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return one_picture(tmp_path / "photos", {"a.xml": voc(GOOD, BAD)}).relative_to(tmp_path)


def test_boxes_are_converted_and_read_again(command: Command, photos: Path) -> None:
    code, out, err = command("convert", photos, "--to", "yolo", "--out", "yolo", "--pictures")
    assert code == 0
    assert out.splitlines() == [
        "wrote yolo (YOLO text files): 1 box of 1 class in 1 picture, 0 of them backgrounds",
        "to read it back: regraft check yolo",
    ]
    assert "warning: boxes without area, left out: 1\nto list them: regraft check photos" in err
    assert read_boxes("yolo").pictures[0].boxes == (Box("cat", 10, 20, 50, 60),)


def test_what_it_says_to_read_it_back_works(command: Command, photos: Path) -> None:
    hint = command("convert", photos, "--to", "coco", "--out", "boxes.json")[1].splitlines()[1]
    assert hint == "to read it back: regraft check boxes.json --root photos"
    code, out, _ = command(*hint.split("regraft ")[1].split())
    assert code == 0
    assert "1 box of 1 class in 1 picture" in out


def test_a_table_with_pictures_elsewhere_is_converted(command: Command, photos: Path) -> None:
    Path("boxes.csv").write_text("path,label,x_min,y_min,x_max,y_max\na.png,cat,12,8,96,70\n")
    assert command("convert", "boxes.csv", "--root", photos, "--to", "voc", "--out", "voc")[0] == 0
    assert read_boxes("voc", root=photos).pictures[0].boxes == (Box("cat", 12, 8, 96, 70),)


def test_convert_prints_json(command: Command, photos: Path) -> None:
    code, out, _ = command("convert", photos, "--to", "csv", "--out", "boxes.csv", "--json")
    record = json.loads(out)
    assert code == 0
    assert (record["out"], record["files"], record["boxes"], record["classes"]) == (
        "boxes.csv",
        1,
        1,
        ["cat"],
    )


def test_crops_are_listed_by_class(command: Command, photos: Path) -> None:
    code, out, _ = command("crops", photos, "--out", "crops", "--margin", "0")
    assert code == 0
    assert "1 crop in crops" in out
    assert "to fit a model: regraft fit crops/crops.csv" in out
    assert Path("crops/cat/a_1.png").is_file()


def test_crops_can_be_squares(command: Command, photos: Path) -> None:
    (photos / "a.xml").write_text(voc(("fork", 10, 20, 70, 40)))
    assert command("crops", photos, "--out", "crops", "--margin", "0", "--square")[0] == 0
    with Image.open("crops/fork/a_1.png") as crop:
        assert crop.size == (60, 60)


def test_crops_say_what_was_left_out(command: Command, photos: Path) -> None:
    (photos / "a.xml").write_text(voc(GOOD, ("a/b", 1, 1, 9, 9)))
    code, out, _ = command("crops", photos, "--out", "crops")
    assert code == 0
    reason = "its shorter side has fewer than 16 pixels (--min-side)"
    assert f"left out: 1 entry of crops/skipped.csv; most frequent: {reason}" in out
    assert "the folder of class a/b is called a_b" in out


def test_crops_print_json(command: Command, photos: Path) -> None:
    code, out, _ = command("crops", photos, "--out", "crops", "--json")
    assert code == 0
    assert json.loads(out) == {"out": "crops", "crops": 1, "classes": {"cat": 1}, "sides": {}, "skipped": []}


def test_nothing_large_enough_is_an_error(command: Command, photos: Path) -> None:
    code, _, err = command("crops", photos, "--out", "crops", "--min-side", "500")
    assert code == 1
    assert (
        "nothing to cut out; the most frequent of 1 reasons: its shorter side has fewer than 500 pixels"
        in err
    )
    assert not Path("crops").exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("convert photos --to coco", 2, "--out"),
        ("convert photos --to onnx --out x", 2, "onnx"),
        ("convert photos --out boxes.json", 2, "--to"),
        ("convert photos --to csv --out boxes.json", 2, "a file that ends in .csv, or a folder. Name one"),
        ("convert photos --to yolo --out photos", 2, "photos is a folder of images that this command reads"),
        (
            "convert photos --to yolo --out photos/labels",
            2,
            "which is a folder of images that this command reads",
        ),
        ("convert photos --to csv --out photos/a.xml", 2, "ends in .xml"),
        ("convert nowhere --to csv --out boxes.csv", 1, "nowhere does not exist"),
        ("convert plain --to csv --out boxes.csv", 1, "plain contains no annotation files with boxes"),
        ("convert photos --to voc --out x --boxes-format coco", 1, "recognised: voc"),
        ("crops photos", 2, "--out"),
        ("crops photos --out photos", 2, "photos is a folder of images that this command reads"),
        (
            "crops photos --out plain",
            2,
            "plain is a folder with files (a.png), and a folder of crops needs a new",
        ),
        ("crops photos --out photos/crops", 2, "which is a folder of images that this command reads"),
        ("crops photos --out x --margin 10", 2, "--margin 10 is outside of 0 to 4"),
        ("crops photos --out x --min-side -3", 2, "--min-side -3 is not a number of pixels"),
        ("crops plain --out x", 1, "contains no annotation files with boxes"),
        ("crops photos/a.png --out x", 1, "contains no annotation files with boxes"),
    ],
)
def test_usual_mistakes_are_explained(
    words: str, code: int, text: str, command: Command, photos: Path, tmp_path: Path
) -> None:
    one_picture(tmp_path / "plain", {})
    done, _, err = command(*words.split())
    assert done == code
    assert text in " ".join(err.replace("│", " ").split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "plain"]


def test_someone_elses_file_is_replaced_only_when_asked(command: Command, photos: Path) -> None:
    Path("boxes.csv").write_text("mine\n")
    words: tuple[Any, ...] = ("convert", photos, "--to", "csv", "--out", "boxes.csv")
    assert command(*words)[0] == 2
    assert Path("boxes.csv").read_text() == "mine\n"
    assert command(*words, "--overwrite")[0] == 0
    assert command(*words)[0] == 0
