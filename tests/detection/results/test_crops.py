from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import regraft
from regraft.detection.annotations.boxes import Box, BoxedPicture, BoxSet
from regraft.detection.results.crops import crop_frame, folder_names, write_crops
from regraft.errors import DataError, SettingsError
from regraft.records import Side
from tests.detection.results.examples import box_set

CAT, DOG = Box("cat", 10, 20, 40, 50), Box("dog", 0, 0, 30.5, 20)


def boxed(path: str, *boxes: Box, side: Side | None = None) -> BoxedPicture:
    return BoxedPicture(path, "", 64, 48, side, boxes)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def table(file: Path) -> list[list[str]]:
    return list(csv.reader(file.read_text().splitlines()))


def test_every_box_becomes_a_picture_of_its_class(tmp_path: Path) -> None:
    data = box_set(tmp_path / "photos", [boxed("a/1.jpg", CAT, DOG), boxed("2.png", CAT), boxed("3.png")])
    done = write_crops(data, tmp_path / "crops")
    assert files(tmp_path / "crops") == ["cat/1_1.jpg", "cat/2_1.png", "crops.csv", "dog/1_2.jpg"]
    assert done.counts == Counter({("cat", None): 2, ("dog", None): 1})
    assert done.skipped == ()
    assert table(tmp_path / "crops" / "crops.csv") == [
        ["path", "label", "group", "box"],
        ["cat/1_1.jpg", "cat", "a/1.jpg", "10, 20, 40, 50"],
        ["dog/1_2.jpg", "dog", "a/1.jpg", "0, 0, 30.5, 20"],
        ["cat/2_1.png", "cat", "2.png", "10, 20, 40, 50"],
    ]


def test_a_crop_is_the_box_with_its_margin(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "1.png")
    data = BoxSet(str(tmp_path / "photos"), "made for a test", 1, (boxed("1.png", CAT),))
    write_crops(data, tmp_path / "crops", margin_share=0.1)
    with Image.open(tmp_path / "crops" / "cat" / "1_1.png") as crop:
        assert np.array_equal(
            np.asarray(crop), pixels[17:48, 7:43]
        )  # 3 pixels more, as far as the picture goes


def test_margins_are_rounded_outwards_and_end_with_the_picture() -> None:
    assert crop_frame(Box("cat", 10.5, 10, 20.5, 20), 0.0, (64, 48)) == (10, 10, 21, 20)
    assert crop_frame(Box("cat", 1, 2, 60, 44), 1.0, (64, 48)) == (0, 0, 64, 48)


def test_a_square_is_moved_into_the_picture_and_ends_with_it() -> None:
    thin = Box("fork", 2, 20, 42, 30)
    assert crop_frame(thin, 0.0, (64, 48), is_square=True) == (2, 5, 42, 45)
    assert crop_frame(thin, 0.1, (64, 48), is_square=True) == (0, 0, 48, 48)
    assert crop_frame(Box("fork", 0, 0, 64, 10), 0.0, (64, 48), is_square=True) == (0, 0, 64, 48)


@given(
    left=st.floats(0, 60), top=st.floats(0, 44), wide=st.floats(0.1, 60), high=st.floats(0.1, 44),
    margin=st.floats(0, 2), is_square=st.booleans(),
)  # fmt: skip
def test_a_crop_holds_its_box_and_stays_in_the_picture(
    left: float, top: float, wide: float, high: float, margin: float, is_square: bool
) -> None:
    box = Box("cat", left, top, min(64, left + wide), min(48, top + high))
    frame = crop_frame(box, margin, (64, 48), is_square=is_square)
    assert 0 <= frame[0] <= box.x_min + 1e-6 < box.x_max - 1e-6 <= frame[2] <= 64
    assert 0 <= frame[1] <= box.y_min + 1e-6 < box.y_max - 1e-6 <= frame[3] <= 48


def test_a_turned_picture_is_cut_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "photos").mkdir()
    stored = Image.new("RGB", (60, 40), "white")
    stored.paste("red", (0, 20, 30, 40))  # lower left as stored; after a turn to the right, upper left
    stored.save(tmp_path / "photos" / "1.jpg", exif=exif, quality=95)
    picture = BoxedPicture("1.jpg", "", 40, 60, None, (Box("red", 0, 0, 20, 30),))
    write_crops(BoxSet(str(tmp_path / "photos"), "", 1, (picture,)), tmp_path / "crops", margin_share=0)
    with Image.open(tmp_path / "crops" / "red" / "1_1.jpg") as crop:
        assert crop.size == (20, 30)
        red, green, blue = np.asarray(crop).reshape(-1, 3).mean(axis=0)
        assert red > 240 > 20 > max(green, blue)


def test_small_boxes_and_groups_are_left_out_with_the_reason(tmp_path: Path) -> None:
    thin, crowd = Box("cat", 1, 1, 40, 9.5), Box("dog", 1, 1, 40, 40, is_crowd=True)
    done = write_crops(box_set(tmp_path / "photos", [boxed("1.png", thin, CAT, crowd)]), tmp_path / "crops")
    assert files(tmp_path / "crops") == ["cat/1_2.png", "crops.csv", "skipped.csv"]
    assert [file.reason for file in done.skipped] == [
        "box 1, cat (1, 1, 40, 9.5): its shorter side has fewer than 16 pixels (--min-side)",
        "box 3, dog (1, 1, 40, 40): it encloses a group of objects",
    ]
    assert table(tmp_path / "crops" / "skipped.csv")[1] == ["1.png", done.skipped[0].reason]


def test_a_published_split_is_kept(tmp_path: Path) -> None:
    sides: tuple[Side | None, ...] = ("train", "validation", "test", None)
    pictures = [boxed(f"{number}.png", CAT, side=side) for number, side in enumerate(sides)]
    done = write_crops(box_set(tmp_path / "photos", pictures), tmp_path / "crops")
    names = files(tmp_path / "crops")
    assert names == ["crops.csv", "skipped.csv", "test/cat/2_1.png", "train/cat/0_1.png", "val/cat/1_1.png"]
    assert done.skipped[0].reason.endswith("its picture is on no side of the split")
    assert [row[2] for row in table(tmp_path / "crops" / "crops.csv")] == [
        "split",
        "train",
        "validation",
        "test",
    ]


def test_an_unreadable_picture_is_left_out(tmp_path: Path) -> None:
    data = box_set(tmp_path / "photos", [boxed("1.png", CAT), boxed("2.png", CAT)])
    (tmp_path / "photos" / "1.png").write_bytes(b"gone")
    done = write_crops(data, tmp_path / "crops")
    assert [file.path for file in done.skipped] == ["1.png"]
    assert done.counts.total() == 1


def test_pictures_of_one_name_get_files_of_their_own(tmp_path: Path) -> None:
    paths = ["a/1.png", "b/1.png", "a_1.png", "A/1.png"]
    done = write_crops(box_set(tmp_path / "photos", [boxed(path, CAT) for path in paths]), tmp_path / "crops")
    assert done.counts.total() == 4
    assert len(files(tmp_path / "crops" / "cat")) == 4


def test_labels_that_are_no_names_of_folders_get_one(tmp_path: Path) -> None:
    labels = ["a/b", "a_b", "..", "x" * 256, "=1"]
    names = folder_names(labels)
    assert len({*names.values()}) == 5
    data = box_set(tmp_path / "photos", [boxed("1.png", *(Box(label, 1, 1, 40, 40) for label in labels))])
    write_crops(data, tmp_path / "crops")
    assert {path.parent.parent.name for path in (tmp_path / "crops").rglob("*.png")} == {"crops"}
    images = regraft.load_images(tmp_path / "crops" / "crops.csv")
    assert {item.label for item in images.items} == {*labels}


def test_the_table_is_a_data_set_whose_groups_are_the_pictures(tmp_path: Path) -> None:
    data = box_set(
        tmp_path / "photos", [boxed(f"{n}.png", CAT, DOG, Box("cat", 2, 2, 30, 30)) for n in range(4)]
    )
    generator = np.random.default_rng(0)
    for number in range(4):
        pixels = generator.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    write_crops(data, tmp_path / "crops")
    images = regraft.load_images(tmp_path / "crops" / "crops.csv", look_alikes="ignore")
    groups = Counter((item.path.partition("/")[2].partition("_")[0], item.group) for item in images.items)
    assert [count for _, count in sorted(groups.items())] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"margin_share": -0.1}, "margin -0.1 is outside of 0 to 4"),
        ({"margin_share": 10}, "margin 10 is outside of 0 to 4; 0.1 adds a tenth"),
        ({"min_side_px": -1}, "min-side -1 is not a number of pixels"),
        ({"min_side_px": float("nan")}, "min-side nan"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], text: str, tmp_path: Path) -> None:
    data = box_set(tmp_path / "photos", [boxed("1.png", CAT)])
    with pytest.raises(SettingsError) as caught:
        write_crops(data, tmp_path / "crops", **settings)
    assert text in caught.value.with_flags
    assert not (tmp_path / "crops").exists()


def test_a_data_set_of_backgrounds_has_nothing_to_cut_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the pictures has a box"):
        write_crops(box_set(tmp_path / "photos", [boxed("1.png")]), tmp_path / "crops")
    assert not (tmp_path / "crops").exists()
