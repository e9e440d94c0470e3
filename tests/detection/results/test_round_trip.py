"""What is written is read again: the same boxes to 1/64 pixel, labels, pictures and sides."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from PIL import Image

from regraft.detection.annotations.boxes import Box, BoxedPicture, BoxSet
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.maps.found import Found
from regraft.detection.results.marked import FoundInPicture, annotated_boxes, found_boxes
from regraft.detection.results.writing import BoxesTarget, boxes_place, write_boxes
from regraft.records import Side
from tests.detection.results.examples import (
    KINDS,
    LABELS,
    PATHS,
    box_set,
    contents,
    expected,
    found_sets,
    reread,
    save,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(drawn=found_sets())
def test_found_boxes_are_read_again(
    kind: BoxesTarget, drawn: tuple[tuple[str, ...], list[FoundInPicture]]
) -> None:
    labels, pictures = drawn
    marked = found_boxes(pictures, labels)
    with tempfile.TemporaryDirectory() as place:
        for path, width, height, _ in pictures:
            save(Path(place, "photos"), path, width, height)
        boxes = reread(marked, Path(place, "photos"), Path(place, "out"), kind)
    assert boxes.skipped == ()
    assert contents(boxes) == expected(marked)


def boxed(path: str, *boxes: Box, side: Side | None = None, size: tuple[int, int] = (64, 48)) -> BoxedPicture:
    return BoxedPicture(path, "", *size, side, boxes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_label_and_every_path_survives(kind: BoxesTarget, tmp_path: Path) -> None:
    pictures = [boxed(path, Box(LABELS[0], 3, 4, 20.5, 30)) for path in PATHS]
    pictures += [boxed(f"n/{number}.png", Box(label, 1, 2, 3, 40)) for number, label in enumerate(LABELS)]
    marked = annotated_boxes(box_set(tmp_path / "photos", pictures))
    assert contents(reread(marked, tmp_path / "photos", tmp_path, kind)) == expected(marked)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_without_boxes_stay(kind: BoxesTarget, tmp_path: Path) -> None:
    pictures = [boxed("a/1.png"), boxed("b/2.png", Box("cat", 1, 2, 30, 40)), boxed("c/d/3.png")]
    marked = annotated_boxes(box_set(tmp_path / "photos", pictures))
    boxes = reread(marked, tmp_path / "photos", tmp_path, kind)
    assert [picture.path for picture in boxes.backgrounds] == ["a/1.png", "c/d/3.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_backgrounds_is_a_data_set_too(kind: BoxesTarget, tmp_path: Path) -> None:
    save(tmp_path / "photos", "a/1.png", 64, 48)
    marked = found_boxes([("a/1.png", 64, 48, Found.of([], [], []))], ["cat"])
    assert contents(reread(marked, tmp_path / "photos", tmp_path, kind)) == {"a/1.png": []}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copies", [False, True], ids=["apart", "with pictures"])
def test_sides_of_a_split_stay(kind: BoxesTarget, copies: bool, tmp_path: Path) -> None:
    sides: tuple[Side, ...] = ("train", "validation", "test")
    pictures = [
        boxed(f"{folder}/{number}.png", Box("cat", 1, 2, 30, 40), side=sides[number])
        for number in range(3)
        for folder in ("a", "b")
    ]
    data = box_set(tmp_path / "photos", pictures)
    out = boxes_place(tmp_path / "out.d", kind, inputs=(data.root,), with_pictures=copies)
    write_boxes(annotated_boxes(data), out, to=kind, copied_from=tmp_path / "photos" if copies else None)
    boxes = read_boxes(out, root=None if copies else data.root)
    assert {
        one.path.removeprefix("images/").removeprefix("JPEGImages/"): one.side for one in boxes.pictures
    } == {picture.path: picture.side for picture in pictures}
    assert [one.boxes for one in boxes.pictures] == [(Box("cat", 1, 2, 30, 40),)] * 6


def test_a_table_in_one_file_keeps_the_sides(tmp_path: Path) -> None:
    pictures = [boxed("1.png", Box("cat", 1, 2, 30, 40), side="train"), boxed("2.png", side="test")]
    marked = annotated_boxes(box_set(tmp_path / "photos", pictures))
    boxes = reread(marked, tmp_path / "photos", tmp_path, "csv")
    assert [picture.side for picture in boxes.pictures] == ["train", "test"]


def test_coco_keeps_groups_and_pascal_voc_what_is_hard_to_see(tmp_path: Path) -> None:
    own = (Box("cat", 1, 2, 30, 40, is_crowd=True), Box("cat", 5, 2, 30, 40, is_difficult=True))
    marked = annotated_boxes(box_set(tmp_path / "photos", [boxed("1.png", *own)]))
    coco = reread(marked, tmp_path / "photos", tmp_path, "coco").pictures[0].boxes
    voc = reread(marked, tmp_path / "photos", tmp_path, "voc").pictures[0].boxes
    assert [(box.is_crowd, box.is_difficult) for box in coco] == [(True, False), (False, False)]
    assert [(box.is_crowd, box.is_difficult) for box in voc] == [(False, False), (False, True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_of_turned_pictures_stay_upright(kind: BoxesTarget, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (60, 40)).save(tmp_path / "photos" / "1.jpg", exif=exif)
    width, height = (40, 60) if orientation >= 5 else (60, 40)
    marked = found_boxes([("1.jpg", width, height, Found.of([[2, 3, 30, 39]], [0], [0.9]))], ["cat"])
    assert contents(reread(marked, tmp_path / "photos", tmp_path, kind)) == expected(marked)


def test_a_score_in_yolo_rows_is_read_as_one_and_left_out(tmp_path: Path) -> None:
    save(tmp_path / "photos", "1.png", 64, 48)
    marked = found_boxes([("1.png", 64, 48, Found.of([[2, 3, 30, 39]], [0], [0.9]))], ["cat"])
    place = boxes_place(tmp_path / "out", "yolo")
    write_boxes(marked, place, to="yolo", has_scores=True)
    assert (place / "labels" / "1.txt").read_text() == "0 0.250000 0.437500 0.437500 0.750000 0.900000\n"
    boxes: BoxSet = read_boxes(place, root=tmp_path / "photos")
    assert contents(boxes) == expected(marked)
    assert "confidence, is not used" in boxes.findings[0].message


def test_eight_decimals_are_exact_in_the_largest_pictures() -> None:
    from regraft.detection.results.yolo import yolo_files
    from regraft.detection.sources.sheets import Document
    from regraft.detection.sources.yolo import read_yolo

    found = Found.of([[99_000 + 1 / 64, 5, 99_000 + 3 / 64, 40_000.984375]], [0], [1.0])
    marked = found_boxes([("1.png", 100_000, 50_000, found)], ["cat"])
    text = dict(yolo_files(marked.pictures, marked.labels))["labels/1.txt"]
    (mark,) = read_yolo(Document("1.txt", text, ("cat",)))[0].marks
    pixels = [share * side for share, side in zip(mark.corners, (100_000, 50_000) * 2, strict=True)]
    assert [round(value * 64) / 64 for value in pixels] == found.corners[0].tolist()
