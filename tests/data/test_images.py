from __future__ import annotations

import os
from pathlib import Path

import pytest

from regraft.data.images import find_images
from regraft.errors import DataError, NoImagesError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def test_a_folder_per_class_gives_labels(tmp_path: Path) -> None:
    found = find_images(touch(tmp_path, "cat/1.jpg", "cat/deep/2.jpg", "dog/3"))
    assert [(c.path, c.label, c.side) for c in found.candidates] == [
        ("cat/1.jpg", "cat", None),
        ("cat/deep/2.jpg", "cat", None),
        ("dog/3", "dog", None),
    ]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Valid"])
def test_split_folders_give_sides(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "train/cat/1.jpg", f"{name}/cat/2.jpg", "test/cat/3.jpg")
    found = find_images(tmp_path)
    assert {c.path: c.side for c in found.candidates} == {
        "train/cat/1.jpg": "train",
        f"{name}/cat/2.jpg": "validation",
        "test/cat/3.jpg": "test",
    }


def test_a_lone_train_folder_is_no_split(tmp_path: Path) -> None:
    found = find_images(touch(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg"))
    assert [(c.label, c.side) for c in found.candidates] == [("cat", None), ("dog", None)]


def test_files_outside_of_class_folders_are_listed(tmp_path: Path) -> None:
    found = find_images(touch(tmp_path, "cat/1.jpg", "loose.jpg"))
    assert [(f.kind, f.paths) for f in found.findings] == [("unlabelled", ("loose.jpg",))]
    assert not found.skipped


def test_text_files_and_hidden_files_are_ignored(tmp_path: Path) -> None:
    found = find_images(touch(tmp_path, "cat/1.jpg", "cat/notes.txt", "cat/.DS_Store", ".git/x.jpg"))
    assert len(found.candidates) == 1
    assert [(f.kind, f.paths) for f in found.findings] == [
        ("ignored", ("cat/.DS_Store", "cat/notes.txt")),
        ("set-aside", (".git",)),
    ]


def test_an_empty_class_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bird").mkdir()
    found = find_images(touch(tmp_path, "cat/1.jpg"))
    assert [f.message for f in found.findings] == ["class folder bird contains no images"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg")
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    (tmp_path / "cat" / "self").symlink_to(tmp_path / "cat" / "self")
    assert [c.path for c in find_images(tmp_path).candidates] == ["cat/1.jpg", "cat/self"]


def test_spellings_of_class_folders_are_a_finding(tmp_path: Path) -> None:
    found = find_images(touch(tmp_path, "Cat/1.jpg", "cat/2.jpg", "dog/3.jpg"))
    assert [finding.kind for finding in found.findings] == ["spelling"]


def test_spellings_of_class_folders_that_divide_the_sides_stop(tmp_path: Path) -> None:
    touch(tmp_path, "train/Cat/1.jpg", "train/dog/2.jpg", "test/cat/3.jpg", "test/dog/4.jpg")
    with pytest.raises(DataError, match="train has Cat, test has cat"):
        find_images(tmp_path)


def test_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    assert find_images(touch(tmp_path, f"cat/{name}")).candidates[0].path == f"cat/{name}"


@pytest.mark.parametrize("place", ["nowhere", "file.bin"])
def test_no_source_says_what_is_accepted(tmp_path: Path, place: str) -> None:
    touch(tmp_path, "file.bin")
    with pytest.raises(NoImagesError, match=rf"{place} .* Accepted are a folder per class"):
        find_images(tmp_path / place)
