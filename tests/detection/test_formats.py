"""Each format on a hand-written example, and the same boxes to the bit from all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regraft.detection.annotations.boxes import Box
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.annotations.recognition import FORMATS, has_boxes
from tests.detection.examples import WRITERS, Drawn, drawn, one_picture, sides, written

CAT = Box("cat", 12, 8, 96, 70)
SHARES = "0.12 0.1 0.96 0.875"
VOC = """<annotation><filename>IMG_1.JPG</filename><size><width>100</width><height>80</height></size>
<object><name>cat</name><difficult>0</difficult><bndbox><xmin>12</xmin><ymin>8</ymin><xmax>96</xmax>
<ymax>70</ymax></bndbox></object></annotation>"""
COCO = """{"images": [{"id": 7, "file_name": "old/folder/a.png", "width": 100, "height": 80}],
"categories": [{"id": 3, "name": "cat"}],
"annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [12, 8, 84, 62]}]}"""
LABELME = """{"version": "5", "imagePath": "a.png", "imageData": null, "imageWidth": 100, "imageHeight": 80,
"shapes": [{"label": "cat", "shape_type": "rectangle", "points": [[96, 8], [12, 70]]}]}"""
STUDIO = """[{"data": {"image": "/data/upload/1/3f2a91bc-a.png"}, "annotations": [{"result": [
{"type": "rectanglelabels", "original_width": 100, "original_height": 80, "value": {"x": 12, "y": 10,
"width": 84, "height": 77.5, "rectanglelabels": ["cat"]}}]}]}]"""
STUDIO_MIN = """[{"image": "/data/local-files/?d=photos/a.png", "label": [{"x": 12, "y": 10, "width": 84,
"height": 77.5, "rectanglelabels": ["cat"], "original_width": 100, "original_height": 80}]}]"""
CVAT = """<?xml version="1.0" encoding="utf-8"?><annotations><image id="0" name="a.png" width="100"
height="80"><box label="cat" xtl="12" ytl="8" xbr="96" ybr="70" occluded="0"/></image></annotations>"""
CREATE_ML = """[{"image": "a.png", "annotations": [{"label": "cat", "coordinates":
{"x": 54, "y": 39, "width": 84, "height": 62}}]}]"""
ONE = {
    "voc": {"a.xml": VOC},
    "voc in another folder": {"Annotations/deep/a.xml": VOC},
    "voc in UTF-16": {"a.xml": VOC.encode("utf-16")},
    "coco": {"x.json": COCO},
    "coco with a byte order mark": {"x.json": b"\xef\xbb\xbf" + COCO.encode()},
    "yolo": {"a.txt": "0 0.54 0.4875 0.84 0.775\n", "classes.txt": "cat\n"},
    "yolo with keyed names": {
        "a.txt": "1 0.54 0.4875 0.84 0.775\r\n",
        "d.yaml": "names:\n  0: dog\n  1: cat\n",
    },
    "yolo with listed names": {"a.txt": "0 .54 .4875 .84 .775", "data.yaml": "nc: 1\nnames:\n- cat # tom\n"},
    "yolo polygon": {"a.txt": "0 0.12 0.1 0.96 0.1 0.96 0.875 0.5 0.875", "obj.names": "cat"},
    "csv": {"b.csv": "path,label,x_min,y_min,x_max,y_max\na.png,cat,12,8,96,70\n"},
    "csv of TensorFlow": {
        "b.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,100,80,cat,12,8,96,70\n"
    },
    "csv of Open Images": {"b.csv": "ImageID,LabelName,XMin,XMax,YMin,YMax\na,cat,0.12,0.96,0.1,0.875\n"},
    "csv of RetinaNet": {"b.csv": "a.png,12,8,96,70,cat\n"},
    "csv with sides": {"b.csv": "image;label;left;top;width;height\r\na.png;cat;12;8;84;62\r\n"},
    "csv of shares": {"b.csv": f"path,label,x1,y1,x2,y2\na.png,cat,{','.join(SHARES.split())}\n"},
    "labelme": {"a.json": LABELME},
    "label-studio": {"project.json": STUDIO},
    "label-studio min": {"project.json": STUDIO_MIN},
    "cvat": {"annotations.xml": CVAT},
    "create-ml": {"annotations.json": CREATE_ML},
    "create-ml of 2018": {"a.json": CREATE_ML.replace('"image"', '"imagefilename"')},
    "regions": {"regions.json": '{"cat": {"a": [0.12, 0.1, 0.84, 0.775]}}'},
}


@pytest.mark.parametrize("kind", ONE)
def test_the_example_gives_its_box(kind: str, tmp_path: Path) -> None:
    boxes = read_boxes(one_picture(tmp_path, dict(ONE[kind])))
    assert [(picture.path, picture.boxes) for picture in boxes.pictures] == [("a.png", (CAT,))]
    assert boxes.format == next(FORMATS[name] for name in FORMATS if kind.startswith(name))


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_boxes_to_the_bit(kind: str, tmp_path: Path) -> None:
    pictures = drawn()
    boxes = read_boxes(written(tmp_path, kind, pictures))
    assert boxes.skipped == ()
    expected = {f"images/{picture.name}": sorted(picture.boxes) for picture in pictures}
    assert {picture.path: sorted(picture.boxes) for picture in boxes.pictures} == expected
    assert [picture.path for picture in boxes.backgrounds] == ["images/cell_011.png"]


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "yolo"])
def test_coordinates_between_pixels_survive(kind: str, tmp_path: Path) -> None:
    box = Box("RBC", 10.25, 3.5, 77.125, 60.015625)  # multiples of 1/64
    boxes = read_boxes(written(tmp_path, kind, [Drawn("a.png", 123, 77, (box,))]))
    assert boxes.pictures[0].boxes == (box,)


def test_published_folders_are_sides(tmp_path: Path) -> None:
    for side in ("train", "valid", "test"):
        one_picture(tmp_path / side, {"_annotations.coco.json": COCO})
    boxes = read_boxes(tmp_path)
    assert sides(boxes) == {"train/a.png": "train", "valid/a.png": "validation", "test/a.png": "test"}


def test_labels_and_images_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    for side in ("train", "val"):
        one_picture(tmp_path / "images" / side, {})
        one_picture(tmp_path / "labels" / side, {"a.txt": "0 0.54 0.4875 0.84 0.775"})
        (tmp_path / "labels" / side / "a.png").unlink()
    boxes = read_boxes(tmp_path)
    assert sides(boxes) == {"images/train/a.png": "train", "images/val/a.png": "validation"}
    assert [picture.boxes[0].label for picture in boxes.pictures] == ["0", "0"]


def test_difficult_and_crowd_are_kept(tmp_path: Path) -> None:
    hard = one_picture(tmp_path / "voc", {"a.xml": VOC.replace("<difficult>0", "<difficult>1")})
    crowd = one_picture(tmp_path / "coco", {"x.json": COCO.replace('"bbox"', '"iscrowd": 1, "bbox"')})
    assert read_boxes(hard).pictures[0].boxes[0].is_difficult
    assert read_boxes(crowd).pictures[0].boxes[0].is_crowd


def test_one_annotation_file_is_a_data_set(tmp_path: Path) -> None:
    folder = one_picture(tmp_path, {"x.json": COCO, "a.xml": VOC})
    assert read_boxes(folder / "x.json").format == "COCO JSON"
    assert has_boxes(folder / "x.json") == "COCO JSON, 1 file"


def test_of_several_formats_one_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    folder = one_picture(tmp_path, {"x.json": COCO, "a.xml": VOC})
    first, second = read_boxes(folder), read_boxes(folder, wanted="coco")
    assert first.format == "Pascal VOC XML"
    assert "COCO JSON and were not read" in first.findings[-1].message
    assert second.pictures == first.pictures


def test_a_turned_box_is_surrounded(tmp_path: Path) -> None:
    turned = CVAT.replace(
        'xtl="12" ytl="8" xbr="96" ybr="70"', 'xtl="40" ytl="30" xbr="60" ybr="50" rotation="45"'
    )
    box = read_boxes(one_picture(tmp_path, {"annotations.xml": turned})).pictures[0].boxes[0]
    half = 10 * 2**0.5  # a square of side 20 about (50, 40), on its tip
    assert (box.x_min, box.y_max) == pytest.approx((50 - half, 40 + half), abs=1 / 128)


@pytest.mark.parametrize(
    "files",
    [
        {"1.txt": "a photo of a cat", "x.json": '{"a": 1}'},
        {"labels.csv": "path,label\na.png,cat\n"},
        {"x.json": json.dumps([{"name": "a"}]), "a.xml": "<xmp><rating>5</rating></xmp>"},
        {"a.txt": "0 1\n", "data.yaml": "names: [a]"},
    ],
    ids=["captions", "labels", "metadata", "short rows"],
)
def test_other_files_are_no_boxes(files: dict[str, str | bytes], tmp_path: Path) -> None:
    assert has_boxes(one_picture(tmp_path, files)) is None
