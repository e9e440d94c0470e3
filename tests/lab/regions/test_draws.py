from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.detection.annotations.boxes import Box, BoxedPicture, BoxSet
from regraft.errors import DataError
from regraft.lab.regions.drawing import drawn
from regraft.lab.regions.draws import Sizes, boxed_pictures, drawn_pictures
from regraft.records import InputSpec, Side

SPEC = InputSpec(size_px=64, width_px=96)


def data_set(root: Path, sides: list[Side | None]) -> BoxSet:
    pictures = []
    for number, side in enumerate(sides):
        Image.new("RGB", (96, 64), (number, 0, 0)).save(root / f"{number}.png")
        box = Box("cat", 1, 2, 30, 40)
        pictures.append(BoxedPicture(f"{number}.png", f"{number:02d}", 96, 64, side, (box,)))
    return BoxSet(str(root), "a table", 1, tuple(pictures))


def keys(scenes: tuple[object, ...]) -> set[str]:
    return {scene.key for scene in scenes}  # type: ignore[attr-defined]


def test_draws_of_made_pictures_share_none_and_can_be_repeated() -> None:
    pictures = drawn_pictures(Sizes(2, 1))
    first, again, other = (pictures.draw(seed, SPEC) for seed in (0, 0, 1))
    assert keys(first.train) == keys(again.train)
    every = [keys(one) for draw in (first, other) for one in (draw.train, draw.test)]
    assert len(set.union(*every)) == 6
    assert first.pixels[first.train[0].key].shape == (64, 96, 3)


def test_shapes_fill_their_boxes() -> None:
    picture, file = drawn(3)
    pixels = np.asarray(Image.open(io.BytesIO(file)), dtype=float)
    assert pixels.shape == (picture.height, picture.width, 3)
    assert all(
        0 <= one.x_min < one.x_max <= 320 and 0 <= one.y_min < one.y_max <= 240 for one in picture.boxes
    )
    assert drawn(3)[1] == file


def test_published_test_pictures_are_only_tested_on(tmp_path: Path) -> None:
    pictures = boxed_pictures(
        data_set(tmp_path, ["train", "test", "train", "train", "validation"] * 2), Sizes(3, 1)
    )
    assert pictures.most_draws == 2
    draws = [pictures.draw(seed, SPEC) for seed in (0, 1)]
    assert set.union(*(keys(one.test) for one in draws)) == {"01", "06"}
    assert set.union(*(keys(one.train) for one in draws)) == {"00", "02", "03", "05", "07", "08"}
    assert not keys(draws[0].train) & keys(draws[1].train)


def test_without_sides_no_picture_is_in_two_places(tmp_path: Path) -> None:
    pictures = boxed_pictures(data_set(tmp_path, [None] * 9), Sizes(3, 1))
    assert pictures.most_draws == 2
    parts = [
        keys(part)
        for seed in (0, 1)
        for part in (pictures.draw(seed, SPEC).train, pictures.draw(seed, SPEC).test)
    ]
    assert [len(part) for part in parts] == [3, 1, 3, 1]
    assert len(set.union(*parts)) == 8


def test_too_few_pictures_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has 3 different pictures with boxes, .* 3 training and 1 test"):
        boxed_pictures(data_set(tmp_path, [None] * 3), Sizes(3, 1))
