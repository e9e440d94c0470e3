"""Annotation files in another folder than the pictures, and what else a written data set needs of readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from regraft.detection.annotations.boxes import Box
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.sources.yolo import class_names
from regraft.workflow.check import load_boxes
from tests.detection.examples import one_picture, sides

ROW = "0 0.54 0.4875 0.84 0.775\n"


def folder(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_annotations_and_pictures_may_be_apart(tmp_path: Path) -> None:
    photos = one_picture(tmp_path / "photos", {})
    files = folder(tmp_path / "yolo", {"labels/a.txt": ROW, "classes.txt": "cat\n", "train.txt": "./a.png\n"})
    boxes = read_boxes(files, root=photos)
    assert boxes.root == str(photos)
    assert boxes.pictures[0].boxes == (Box("cat", 12, 8, 96, 70),)
    loaded = load_boxes(files, root=str(photos))
    assert loaded is not None
    assert loaded.pictures == boxes.pictures


def test_lists_of_sides_may_be_apart_as_well(tmp_path: Path) -> None:
    one_picture(tmp_path / "photos" / "x", {})
    photos = one_picture(tmp_path / "photos" / "y", {}).parent
    labels = {"labels/x/a.txt": ROW, "labels/y/a.txt": ROW}
    files = folder(tmp_path / "yolo", {**labels, "train.txt": "./x/a.png\n", "val.txt": "./y/a.png\n"})
    assert sides(read_boxes(files, root=photos)) == {"x/a.png": "train", "y/a.png": "validation"}


def test_an_empty_file_deep_in_a_folder_of_labels_is_a_background(tmp_path: Path) -> None:
    one_picture(tmp_path / "images" / "x" / "y", {})
    files = folder(tmp_path, {"labels/x/y/a.txt": ""})
    boxes = read_boxes(files)
    assert [picture.path for picture in boxes.backgrounds] == ["images/x/y/a.png"]
    assert "kept as background" in boxes.findings[0].message
    assert "no annotation names" not in boxes.findings[0].message


def test_a_table_is_read_without_guards_against_formulas(tmp_path: Path) -> None:
    rows = "path,label,x_min,y_min,x_max,y_max\na.png,'=1+1,12,8,96,70\n"
    boxes = read_boxes(one_picture(tmp_path, {"b.csv": rows}))
    assert boxes.labels == ("=1+1",)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (r'0: "a \"b\" c"', 'a "b" c'),
        ("0: 'it''s'", "it's"),
        (r'0: "C:\\x"', r"C:\x"),
        (r'0: "a\q"', r"a\q"),  # no escape of JSON: as written
        ("0: 'open", "open"),
        ('0: "#1" # the first', "#1"),
    ],
)
def test_names_in_yaml_may_have_escapes(line: str, name: str) -> None:
    assert class_names("data.yaml", f"names:\n  {line}\n".encode()) == (name,)
