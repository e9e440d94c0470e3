"""Which picture a name means where several have it."""

from __future__ import annotations

import pytest

from regraft.detection.annotations.picture_index import PictureIndex


@pytest.mark.parametrize(
    ("name", "near", "path"),
    [
        ("1.jpg", "boxes.json", "1.jpg"),
        ("a/1.jpg", "boxes.json", "a/1.jpg"),
        ("1.jpg", "a/boxes.json", "a/1.jpg"),
        ("1", "labels/1.txt", "1.jpg"),
        ("1", "labels/a/1.txt", "a/1.jpg"),
        ("1", "labels/c/a/1.txt", "c/a/1.jpg"),
        ("X.jpg", "boxes.json", "X.jpg"),
        ("x.jpg", "boxes.json", "x.jpg"),
    ],
)
def test_an_entry_means_the_picture_that_needs_no_other_folder(name: str, near: str, path: str) -> None:
    index = PictureIndex(["1.jpg", "a/1.jpg", "b/1.jpg", "c/a/1.jpg", "x.jpg", "X.jpg"])
    assert index.find([name], near=near) == path


def test_what_nothing_decides_stays_open() -> None:
    index = PictureIndex(["a/1.jpg", "b/1.jpg"])
    assert index.find(["1.jpg"], near="boxes.json") is None
    assert index.reason(["1.jpg"]) == "1.jpg could be any of a/1.jpg, b/1.jpg: write its folder, too"
