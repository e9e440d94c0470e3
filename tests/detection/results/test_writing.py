"""Where boxes may be written, what is said to be lost, and files as other tools expect them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from regraft.detection.annotations.boxes import Box, BoxedPicture
from regraft.detection.maps.found import Found
from regraft.detection.results.marked import MarkedSet, annotated_boxes, found_boxes
from regraft.detection.results.writing import BoxesTarget, boxes_place, write_boxes
from regraft.errors import DataError, SettingsError, StorageError
from tests.detection.results.examples import KINDS, box_set, save

FOUND = Found.of(
    [[2, 3, 30, 39.5], [1, 1, 9, 9], [5, 5, 5, 9], [70, 2, 80, 9]], [1, 0, 0, 0], [0.875, 0.25, 0.9, 0.8]
)


def marked() -> MarkedSet:
    return found_boxes(
        [("a/1.png", 64, 48, FOUND), ("2.png", 64, 48, Found.of([], [], []))], ["cat", "dog"], 0.5
    )


def written(kind: BoxesTarget, out: Path, what: MarkedSet | None = None) -> Path:
    return write_boxes(what or marked(), boxes_place(out, kind), to=kind).place


def test_only_boxes_above_their_thresholds_and_in_the_picture_are_written() -> None:
    boxes = [[(one.box.label, one.score) for one in picture.boxes] for picture in marked().pictures]
    assert boxes == [[("dog", 0.875)], []]


def test_coco_is_what_pycocotools_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool: Any = pytest.importorskip("pycocotools.coco", reason="pip install -e .[development]")
    place = written("coco", tmp_path / "boxes.json")
    coco = tool.COCO(str(place))
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["a/1.png", "2.png"]
    assert [one["name"] for one in coco.loadCats(coco.getCatIds())] == ["cat", "dog"]
    assert coco.loadAnns(coco.getAnnIds()) == [
        {
            "id": 1, "image_id": 1, "category_id": 2, "bbox": [2, 3, 28, 36.5], "area": 1022, "iscrowd": 0,
            "score": 0.875,
        }
    ]  # fmt: skip


def test_a_table_of_found_boxes(tmp_path: Path) -> None:
    assert written("csv", tmp_path / "boxes.csv").read_text().splitlines() == [
        "path,label,score,x_min,y_min,x_max,y_max",
        "a/1.png,dog,0.875,2,3,30,39.5",
        "2.png,,,,,,",
    ]


def test_yolo_has_a_file_for_each_picture_and_the_names_of_classes(tmp_path: Path) -> None:
    place = written("yolo", tmp_path / "yolo")
    files = {
        path.relative_to(place).as_posix(): path.read_text() for path in place.rglob("*") if path.is_file()
    }
    assert files == {
        "data.yaml": "# Boxes written by regraft.\npath: .\ntrain: .\nnc: 2\nnames:\n"
        '  0: "cat"\n  1: "dog"\n',
        "classes.txt": "cat\ndog\n",
        "labels/a/1.txt": "1 0.250000 0.442708 0.437500 0.760417\n",
        "labels/2.txt": "",
    }


def test_pascal_voc_has_a_file_for_each_picture(tmp_path: Path) -> None:
    place = written("voc", tmp_path / "voc")
    root = ET.parse(place / "Annotations" / "a" / "1.xml").getroot()
    assert [root.findtext(name) for name in ("folder", "filename", "size/width", "object/name")] == [
        "a", "1.png", "64", "dog",
    ]  # fmt: skip
    assert [element.text for element in root.iterfind("object/bndbox/*")] == ["2", "3", "30", "39.5"]
    assert ET.parse(place / "Annotations" / "2.xml").getroot().find("object") is None


def test_pictures_that_differ_in_their_ending_alone(tmp_path: Path) -> None:
    one = found_boxes([(path, 64, 48, FOUND) for path in ("1.jpg", "1.png")], ["cat", "dog"])
    with pytest.raises(DataError, match=r"1\.jpg and 1\.png would share one\. Rename all but one"):
        written("yolo", tmp_path / "yolo", one)
    assert not (tmp_path / "yolo").exists()
    place = written("voc", tmp_path / "voc", one)
    assert sorted(path.name for path in place.rglob("*.xml")) == ["1.jpg.xml", "1.png.xml"]


def test_a_picture_with_the_name_of_the_list_of_classes(tmp_path: Path) -> None:
    one = found_boxes([("a/Classes.jpg", 64, 48, FOUND)], ["cat", "dog"])
    with pytest.raises(DataError, match=r"names of the classes in a file that the boxes of a/Classes\.jpg"):
        written("yolo", tmp_path / "yolo", one)


@pytest.mark.parametrize(("kind", "usual"), [("yolo", "images"), ("voc", "JPEGImages"), ("coco", "images")])
def test_pictures_are_copied_to_the_usual_folder(kind: BoxesTarget, usual: str, tmp_path: Path) -> None:
    save(tmp_path / "photos", "a/1.png", 64, 48)
    save(tmp_path / "photos", "2.png", 64, 48)
    done = write_boxes(marked(), tmp_path / "out", to=kind, copied_from=tmp_path / "photos")
    copied = tmp_path / "out" / usual / "a" / "1.png"
    assert copied.read_bytes() == (tmp_path / "photos" / "a" / "1.png").read_bytes()
    assert done.pictures == 2
    labels = {"yolo": "labels/a/1.txt", "voc": "Annotations/a/1.xml", "coco": "instances.json"}[kind]
    assert (tmp_path / "out" / labels).is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_whole_or_absent(kind: BoxesTarget, tmp_path: Path) -> None:
    save(tmp_path / "photos", "a/1.png", 64, 48)  # the other picture can't be copied
    with pytest.raises(StorageError, match="No such file"):
        write_boxes(marked(), tmp_path / "out", to=kind, copied_from=tmp_path / "photos")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def lost(kind: BoxesTarget, out: Path) -> list[str]:
    boxes = (Box("cat", 1, 2, 30, 40, is_crowd=True), Box("cat", 5, 2, 30, 40, is_difficult=True))
    pictures = [BoxedPicture(f"{side}.png", "", 64, 48, side, boxes) for side in ("train", "test")]
    data = annotated_boxes(box_set(out.parent / "photos", pictures))
    return [remark.partition(":")[0] for remark in write_boxes(data, boxes_place(out, kind), to=kind).remarks]


def test_what_a_format_cannot_say_is_a_remark(tmp_path: Path) -> None:
    crowd = "that 2 boxes are a group of objects is lost"
    hard = "that 2 boxes are hard to see is lost"
    sides = "the sides of the split are lost"
    assert lost("coco", tmp_path / "boxes.json") == [hard, sides]
    assert lost("coco", tmp_path / "coco") == [hard]
    assert lost("voc", tmp_path / "voc") == [crowd]
    assert lost("yolo", tmp_path / "yolo") == [crowd, hard]
    assert lost("csv", tmp_path / "boxes.csv") == [crowd, hard]


@pytest.mark.parametrize(
    ("kind", "out", "text"),
    [
        ("yolo", "boxes.txt", "ends in .txt, but the format yolo is written to a folder"),
        ("coco", "boxes.csv", "the format coco is written to a file that ends in .json, or a folder"),
        ("csv", "boxes.json", "is written to a file that ends in .csv, or a folder"),
        ("voc", "photos/voc", "which is a folder of images that this command reads"),
        (
            "yolo",
            "full",
            "is a folder with files (mine.txt), and the format yolo needs a new or an empty one",
        ),
        ("coco", "mine.json", "it is not boxes as COCO JSON that regraft wrote"),
        ("coco", "photos/1.json", "is not boxes as COCO JSON that regraft wrote"),
        ("voc", "mine", "is a file, but the format voc needs a folder"),
    ],
)
def test_places_that_are_refused(kind: BoxesTarget, out: str, text: str, tmp_path: Path) -> None:
    for name in ("full/mine.txt", "mine.json", "photos/1.json", "mine"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"mine": 1}')
    with pytest.raises(SettingsError) as caught:
        boxes_place(tmp_path / out, kind, inputs=(tmp_path / "photos",))
    assert text in caught.value.with_flags


def test_files_of_an_earlier_call_are_replaced(tmp_path: Path) -> None:
    for kind, name in (("coco", "boxes.json"), ("csv", "boxes.csv")):
        first = written(kind, tmp_path / name).read_bytes()
        assert written(kind, tmp_path / name).read_bytes() == first
    data = annotated_boxes(box_set(tmp_path / "photos", [BoxedPicture("1.png", "", 64, 48, None, ())]))
    written("csv", tmp_path / "boxes.csv", data)
    assert written("csv", tmp_path / "boxes.csv", data).read_text().splitlines()[1] == "1.png,64,48,,,,,,"


def test_pictures_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        boxes_place(tmp_path / "boxes.json", "coco", with_pictures=True)
    assert "with --pictures a folder is written. Name a folder with --out" in caught.value.with_flags


def test_bytes_of_a_name_that_are_no_text_survive_in_coco() -> None:
    from regraft.detection.results.coco import coco_chunks
    from regraft.detection.sources.coco import read_coco
    from regraft.detection.sources.sheets import Document

    one = found_boxes([("caf\udce9.png", 64, 48, FOUND)], ["cat", "dog"])
    data = b"".join(coco_chunks(one.pictures, one.labels))
    assert json.loads(data)["info"]["description"] == "boxes written by regraft"
    assert read_coco(Document("x.json", data))[0].names == ("caf\udce9.png",)
