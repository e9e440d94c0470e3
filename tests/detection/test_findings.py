"""What is said about boxes that don't fit their pictures, and about pictures, labels and sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.detection.annotations.boxes import Box
from regraft.detection.annotations.reading import read_boxes
from tests.detection.examples import by_kind, found, one_picture, sides, voc

BOX = ("cat", 10, 20, 50, 60)
SIZES = ((100, 80), (80, 100))


@pytest.mark.parametrize(
    ("box", "kind", "text"),
    [
        (("cat", 5, 5, 5, 9), "zero-area", "has no area; left out"),
        (("cat", 5, 5, 5.001, 9), "zero-area", "smaller than 1/64 of a pixel"),
        (("cat", 9, 5, 5, 9), "inverted", "right is less than left"),
        (("cat", 200, 5, 300, 9), "outside", "0% of it is inside the picture of 100 x 80 pixels; left out"),
        (("cat", 60, 5, 140, 9), "outside", "it ends 40 pixels outside the picture of 100 x 80"),
        (("cat", 60, 5, 101, 9), "clipped", "it ends 1 pixels outside"),
        (BOX, "duplicate-box", "cat (10, 20, 50, 60) is there twice; one is kept"),
        (("dog", *BOX[1:]), "conflict", "is both cat and dog; both are kept"),
        (("Cat", 1, 2, 30, 40), "spelling", "'Cat' (1) and 'cat' (1) are different classes"),
        ((" cat ", 1, 2, 30, 40), "blanks", "the label ' cat ' is read as 'cat'"),
    ],
)  # fmt: skip
def test_a_box_with_a_fault_is_found(box: tuple[object, ...], kind: str, text: str, tmp_path: Path) -> None:
    boxes = read_boxes(one_picture(tmp_path, {"a.xml": voc(BOX, box)}))
    (finding,) = [finding for finding in boxes.findings if finding.kind == kind]
    assert text in finding.message
    assert "a.png" in finding.paths
    assert Box("cat", 10, 20, 50, 60) in boxes.pictures[0].boxes


def test_pictures_without_boxes_are_backgrounds(tmp_path: Path) -> None:
    folder = one_picture(tmp_path, {"a.xml": voc(BOX), "b.xml": voc()})
    for name in ("b.png", "c.png"):
        Image.new("RGB", (100, 80)).save(folder / name)
    (folder / "new").mkdir()
    Image.new("RGB", (100, 80)).save(folder / "new" / "d.png")
    boxes = read_boxes(folder)
    kinds = by_kind(boxes)
    assert [picture.path for picture in boxes.backgrounds] == ["b.png", "c.png"]
    assert "1 picture without boxes, kept as background" in kinds["background"]
    assert "no annotation names" in kinds["background"][1]
    assert kinds["unlabelled"] == [
        "1 picture without usable annotations, set aside: it is not known whether it has boxes"
    ]


def test_a_picture_whose_annotations_fail_is_no_background(tmp_path: Path) -> None:
    folder = one_picture(
        tmp_path, {"a.xml": voc(BOX), "b.xml": "<annotation><object>", "c.xml": voc(("cat", 5, 5, 5, 5))}
    )
    for name in ("b.png", "c.png"):
        Image.new("RGB", (100, 80)).save(folder / name)
    boxes = read_boxes(folder)
    assert [picture.path for picture in boxes.pictures] == ["a.png"]
    assert [file.path for file in boxes.skipped] == ["b.xml", "c.png"]
    assert [finding.paths for finding in boxes.findings if finding.kind == "unlabelled"] == [("b.png",)]


def test_boxes_without_their_picture_are_named(tmp_path: Path) -> None:
    folder = one_picture(tmp_path, {"a.xml": voc(BOX), "gone.xml": voc(BOX).replace("a.png", "gone.png")})
    assert found(folder)["no-picture"] == [
        "no picture of the data set is called gone.png; its 1 box can't be used"
    ]


def test_equal_names_in_two_folders_are_not_mixed_up(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        one_picture(tmp_path / folder, {})
    rows = "path,label,x_min,y_min,x_max,y_max\ntwo/a.png,cat,1,2,3,4\na.png,cat,1,2,3,4\n"
    (tmp_path / "x.csv").write_text(rows)
    boxes = read_boxes(tmp_path)
    assert [picture.path for picture in boxes.pictures] == ["two/a.png"]
    assert "a.png could be any of one/a.png, two/a.png" in by_kind(boxes)["no-picture"][0]


def test_a_broken_picture_is_skipped(tmp_path: Path) -> None:
    folder = one_picture(tmp_path, {"a.xml": voc(BOX), "b.xml": voc(BOX), "b.png": b"no picture"})
    boxes = read_boxes(folder)
    assert [file.path for file in boxes.skipped] == ["b.png"]
    assert [picture.path for picture in boxes.pictures] == ["a.png"]


@pytest.mark.parametrize(
    ("size", "box", "expected", "text"),
    [
        ((0, 0), BOX, (10, 20, 50, 60), "states a size of 0 x 0; the picture's own is used"),
        ((200, 160), (("cat", 20, 40, 100, 120)), (10, 20, 50, 60), "boxes are scaled"),
        ((300, 70), BOX, (10, 20, 50, 60), "boxes are inside, and taken as they are"),
    ],
    ids=["none", "twice", "another shape"],
)
def test_another_size_in_the_file_is_said(
    size: tuple[int, int], box: tuple[object, ...], expected: tuple[float, ...], text: str, tmp_path: Path
) -> None:
    boxes = read_boxes(one_picture(tmp_path, {"a.xml": voc(box, size=size)}))
    assert boxes.pictures[0].boxes == (Box("cat", *expected),)
    assert text in by_kind(boxes)["size"][0]


def test_boxes_of_another_picture_are_refused(tmp_path: Path) -> None:
    folder = one_picture(
        tmp_path, {"a.xml": voc(("cat", 10, 20, 500, 60), size=(640, 100)), "b.xml": voc(BOX)}
    )
    Image.new("RGB", (100, 80)).save(folder / "b.png")
    boxes = read_boxes(folder)
    assert [picture.path for picture in boxes.pictures] == ["b.png"]
    assert "states 640 x 100, the picture has 100 x 80 pixels" in boxes.skipped[0].reason


def test_pixels_where_shares_are_expected_are_read(tmp_path: Path) -> None:
    boxes = read_boxes(one_picture(tmp_path, {"a.txt": "0 30 40 40 40\n", "classes.txt": "cat"}))
    assert boxes.pictures[0].boxes == (Box("cat", 10, 20, 50, 60),)
    assert "coordinates are pixels, where shares" in by_kind(boxes)["units"][0]


def test_shares_where_pixels_are_expected_are_read(tmp_path: Path) -> None:
    boxes = read_boxes(one_picture(tmp_path, {"a.xml": voc(("cat", 0.1, 0.25, 0.5, 0.75))}))
    assert boxes.pictures[0].boxes == (Box("cat", 10, 20, 50, 60),)
    assert "read as shares" in by_kind(boxes)["units"][0]


def test_one_box_of_another_unit_is_left_out(tmp_path: Path) -> None:
    text = "0 .3 .5 .4 .5\n0 30 40 40 40\n"
    boxes = read_boxes(one_picture(tmp_path, {"a.txt": text, "classes.txt": "cat"}))
    assert boxes.pictures[0].boxes == (Box("cat", 10, 20, 50, 60),)
    assert "line 2" in by_kind(boxes)["units"][0]


def rotated(root: Path, orientation: int, text: str, name: str = "a") -> Path:
    """A picture stored with 120 x 70 pixels, one red rectangle and an EXIF orientation; and its boxes."""
    pixels = np.zeros((70, 120, 3), np.uint8)
    pixels[15:40, 80:115] = 255, 0, 0
    exif = Image.Exif()
    exif[0x0112] = orientation
    root.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(root / f"{name}.png", exif=exif)
    (root / f"{name}.xml").write_text(text)
    return root


def painted(orientation: int) -> Box:
    """Where the red rectangle is when Pillow has turned the picture."""
    pixels = np.zeros((70, 120), np.uint8)
    pixels[15:40, 80:115] = 1
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Image.Transpose, as EXIF 2.32 asks
    image = Image.fromarray(pixels)
    upright = image.transpose(Image.Transpose(turns[orientation])) if orientation > 1 else image
    down, across = np.nonzero(np.asarray(upright))
    return Box("cat", across.min(), down.min(), across.max() + 1, down.max() + 1)


STORED = ("cat", 80, 15, 115, 40)


def test_the_picture_of_turns_is_pillows() -> None:
    names = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270"}
    numbers = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4}
    assert {key: int(Image.Transpose[name]) for key, name in names.items()} == numbers


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_drawn_before_rotation_are_turned(orientation: int, tmp_path: Path) -> None:
    folder = rotated(tmp_path, orientation, voc(STORED, size=(120, 70)))
    boxes = read_boxes(folder, before_rotation=True)
    assert boxes.pictures[0].boxes == (painted(orientation),)
    if orientation >= 5:  # the size in the file shows it
        assert read_boxes(folder).pictures == boxes.pictures


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_drawn_on_the_upright_picture_stay(orientation: int, tmp_path: Path) -> None:
    box = painted(orientation)
    size = (70, 120) if orientation >= 5 else (120, 70)
    folder = rotated(
        tmp_path, orientation, voc(("cat", box.x_min, box.y_min, box.x_max, box.y_max), size=size)
    )
    assert read_boxes(folder).pictures[0].boxes == (box,)
    assert read_boxes(folder, before_rotation=False).pictures[0].boxes == (box,)


def test_bounds_show_what_a_file_without_a_size_means(tmp_path: Path) -> None:
    folder = rotated(tmp_path, 6, voc(STORED, size=(0, 0)))  # 115 is more than the upright width of 70
    boxes = read_boxes(folder)
    assert boxes.pictures[0].boxes == (painted(6),)
    assert (
        "drawn before it, so boxes are turned with the picture, by its size" in by_kind(boxes)["rotation"][0]
    )


def test_what_can_not_be_seen_follows_the_others(tmp_path: Path) -> None:
    folder = rotated(tmp_path, 6, voc(STORED, size=(120, 70)))
    rotated(folder, 3, voc(STORED, size=(120, 70)), name="b")
    boxes = read_boxes(folder)
    assert [picture.boxes for picture in boxes.pictures] == [(painted(6),), (painted(3),)]
    assert "as in the other pictures" in by_kind(boxes)["rotation"][1]
    assert "--no-boxes-before-rotation" in by_kind(boxes)["rotation"][1]


def test_lists_of_pictures_are_sides(tmp_path: Path) -> None:
    folder = one_picture(tmp_path, {"a.xml": voc(BOX), "b.xml": voc(BOX)})
    Image.new("RGB", (100, 80)).save(folder / "b.png")
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "train.txt").write_text("a\n")
    (folder / "ImageSets" / "Main" / "val.txt").write_text("b\na\n")
    boxes = read_boxes(folder)
    assert sides(boxes) == {"a.png": "train", "b.png": "validation"}
    assert by_kind(boxes)["many-sides"] == ["is in the lists of train and validation; train is used"]


def test_copies_on_two_sides_are_a_leak(tmp_path: Path) -> None:
    one_picture(tmp_path / "train", {"a.xml": voc(BOX)})
    one_picture(tmp_path / "test", {"a.xml": voc(("cat", 1, 2, 3, 4))})
    kinds = found(tmp_path)
    assert kinds["leak"] == ["the same picture is on the sides test and train"]
    assert kinds["conflicting-copies"] == ["the same picture has different boxes"]


def test_a_lone_side_is_no_split(tmp_path: Path) -> None:
    one_picture(tmp_path / "train", {"a.xml": voc(BOX)})
    assert sides(read_boxes(tmp_path)) == {"train/a.png": None}


def test_a_class_with_few_boxes_is_named(tmp_path: Path) -> None:
    kinds = found(one_picture(tmp_path, {"a.xml": voc(BOX)}))
    assert kinds["tiny-class"] == ["class cat has 1 box; a detector needs at least 10, and better 100"]
