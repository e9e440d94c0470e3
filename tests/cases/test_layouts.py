"""Folders as people have them: splits next to other folders, sides without labels, and nested archives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from regraft.data.images import find_images
from regraft.data.sources.candidates import Found
from regraft.errors import DataError, NoImagesError
from tests.cases.conftest import QUICK, Command
from tests.cases.pictures import folder


def empty_files(root: Path, *names: str) -> Path:
    """Files whose content does not matter, as a layout is known by names alone."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def sides(found: Found) -> set[tuple[str, str | None]]:
    return {(one.label, one.side) for one in found.candidates}


SPLIT = ("train/cat/1.jpg", "train/dog/1.jpg", "val/cat/2.jpg", "val/dog/2.jpg")
OFFICIAL = {("cat", "train"), ("dog", "train"), ("cat", "validation"), ("dog", "validation")}
DRAWN = {("cat", None), ("dog", None)}


@pytest.mark.parametrize(
    ("other", "aside"),
    [
        ("__MACOSX/train/cat/3.jpg", "__MACOSX/"),
        ("@eaDir/SYNO.jpg", "@eaDir/"),
        ("System Volume Information/3.jpg", "System Volume Information/"),
        ("$RECYCLE.BIN/3.jpg", "$RECYCLE.BIN/"),
        ("previews/3.jpg", "previews/ (1 file)"),
        ("archive/train/cat/1.jpg", "archive/ (1 file)"),
        (".ipynb_checkpoints/3.jpg", ".ipynb_checkpoints/"),
    ],
)
def test_other_folders_next_to_a_split_are_set_aside(tmp_path: Path, other: str, aside: str) -> None:
    found = find_images(empty_files(tmp_path, *SPLIT, other))
    assert sides(found) == OFFICIAL
    assert found.layout.endswith(f"set aside: {aside}")
    assert [finding.kind for finding in found.findings] == ["set-aside"]


@pytest.mark.parametrize(
    ("one", "other", "side"),
    [
        ("TRAIN", "TEST", "test"),
        ("Training", "Testing", "test"),
        ("train_set", "test_set", "test"),
        ("trainset", "testset", "test"),
        ("train data", "dev data", "validation"),
        ("images_train", "images_holdout", "test"),
        ("train2017", "val2017", "validation"),
        ("seg_train", "seg_test", "test"),
        ("TrainImages", "EvalImages", "test"),
        ("flowers-training", "flowers-validation", "validation"),
        ("train", "hold-out", "test"),
    ],
)
def test_usual_names_of_sides_are_known(tmp_path: Path, one: str, other: str, side: str) -> None:
    found = find_images(empty_files(tmp_path, f"{one}/cat/1.jpg", f"{other}/cat/2.jpg"))
    assert sides(found) == {("cat", "train"), ("cat", side)}


def test_a_folder_called_eval_validates_where_another_one_tests(tmp_path: Path) -> None:
    found = find_images(empty_files(tmp_path, "train/a/1.jpg", "eval/a/1.jpg", "test/a/1.jpg"))
    assert sides(found) == {("a", "train"), ("a", "validation"), ("a", "test")}


def test_a_side_may_have_its_own_name_again_inside(tmp_path: Path) -> None:
    names = ("seg_train/seg_train/a/1.jpg", "seg_train/seg_train/b/1.jpg", "seg_test/seg_test/a/2.jpg")
    found = find_images(empty_files(tmp_path, *names, "seg_test/seg_test/b/2.jpg", "seg_pred/seg_pred/3.jpg"))
    assert sides(found) == {("a", "train"), ("b", "train"), ("a", "test"), ("b", "test")}
    assert "set aside: seg_pred/ (1 file)" in found.layout


def test_classes_may_have_their_sides_inside(tmp_path: Path) -> None:
    names = ("cat/train/1.jpg", "cat/test/2.jpg", "dog/train/1.jpg", "dog/test/2.jpg")
    found = find_images(empty_files(tmp_path, *names))
    assert sides(found) == {("cat", "train"), ("cat", "test"), ("dog", "train"), ("dog", "test")}


@pytest.mark.parametrize("flat", ["test/1.jpg", "test/unknown/1.jpg", "test/images/1.jpg"])
def test_a_side_without_labels_leaves_a_drawn_split(tmp_path: Path, flat: str) -> None:
    found = find_images(empty_files(tmp_path, *SPLIT[:2], flat))
    assert sides(found) == DRAWN
    assert [(finding.kind, finding.paths) for finding in found.findings] == [("unlabelled", (flat,))]
    assert "test/ (1 file without labels)" in found.layout
    assert not found.skipped


def test_an_official_validation_side_stays_without_a_labelled_test_side(tmp_path: Path) -> None:
    found = find_images(empty_files(tmp_path, *SPLIT, "test/1.jpg"))
    assert sides(found) == OFFICIAL
    assert "no test side has labels" in found.layout


@pytest.mark.parametrize("above", ["photos", "photos/photos", "archive/dataset"])
@pytest.mark.parametrize(("names", "expected"), [(SPLIT, OFFICIAL), (("cat/1.jpg", "dog/1.jpg"), DRAWN)])
def test_lone_folders_are_descended_and_named(
    tmp_path: Path, above: str, names: tuple[str, ...], expected: set[tuple[str, str | None]]
) -> None:
    found = find_images(empty_files(tmp_path, *(f"{above}/{name}" for name in names)))
    assert sides(found) == expected
    assert f"in {above}/" in found.layout


def test_a_lone_training_side_is_descended(tmp_path: Path) -> None:
    found = find_images(empty_files(tmp_path, "dataset/train/cat/1.jpg", "dataset/train/dog/1.jpg"))
    assert sides(found) == DRAWN


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train/1.jpg", "test/1.jpg"), r"test/ \(1 file\), train/ .* no labels are known"),
        (("cat/1.jpg", "dog/1.jpg", "test/1.jpg"), r"test/ \(1 file\) next to cat/ and dog/"),
        (("bus/1.jpg", "train/1.jpg"), r"train/ \(1 file\) next to bus/"),
        (("train/cat/1.jpg", "train/dog/1.jpg", "previews/1.jpg"), "give that folder"),
        (("val/cat/1.jpg", "test/cat/1.jpg"), "no training side"),
        (("train/a/1.jpg", "train/b/1.jpg", "val/c/1.jpg", "val/d/1.jpg"), "share no class"),
        (("set/train/a/1.jpg", "set/val/a/1.jpg", "docs/figure.png"), "set is a whole data set"),
    ],
)
def test_folders_called_like_sides_are_no_classes_without_a_word(
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    empty_files(tmp_path, *names)
    with pytest.raises(DataError, match=rf"{said}.*layout classes"):
        find_images(tmp_path)
    tops = {name.split("/")[0] for name in names}
    assert {one.label for one in find_images(tmp_path, layout="classes").candidates} == tops


def test_sides_that_share_no_class_are_a_split_if_the_user_says_so(tmp_path: Path) -> None:
    empty_files(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/c/1.jpg", "val/d/1.jpg")
    assert ("c", "validation") in sides(find_images(tmp_path, layout="split"))


def test_classes_that_hold_the_same_folders_are_pointed_out(tmp_path: Path) -> None:
    names = ("images/cat/1.jpg", "images/dog/1.jpg", "masks/cat/1.png", "masks/dog/1.png")
    layout = find_images(empty_files(tmp_path, *names)).layout
    assert "images/ and masks/ hold the same folders (cat, dog): if these are the classes, give" in layout


def test_an_empty_side_is_reported(tmp_path: Path) -> None:
    (tmp_path / "val/cat").mkdir(parents=True)
    found = find_images(empty_files(tmp_path, *SPLIT[:2]))
    assert [finding.message for finding in found.findings] == ["the folder val contains no images"]


def test_a_link_to_a_class_is_no_class(tmp_path: Path) -> None:
    empty_files(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "alias").symlink_to(tmp_path / "cat")
    found = find_images(tmp_path)
    assert sides(found) == DRAWN
    assert [finding.paths for finding in found.findings] == [("alias",)]


def test_a_split_that_is_demanded_and_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^layout split: .* it holds cat/ and dog/"):
        find_images(empty_files(tmp_path, "cat/1.jpg", "dog/1.jpg"), layout="split")


def test_images_without_any_class_folder_are_counted(tmp_path: Path) -> None:
    with pytest.raises(NoImagesError, match="2 files were set aside as unlabelled"):
        find_images(empty_files(tmp_path, "1.jpg", "2.jpg"))


def test_an_archive_from_a_mac_keeps_its_split_to_the_end(regraft_command: Command, tmp_path: Path) -> None:
    data = tmp_path / "mac"
    folder(data / "train"), folder(data / "val", count=4, start=50)
    (empty_files(data, "__MACOSX/train/cat/._000.jpg") / "__MACOSX/train/cat/._000.jpg").write_bytes(
        b"\0\5\26\7"
    )
    assert "layout: train/ and val/ with the same 2 class folders" in regraft_command("check", data).out
    fitted = regraft_command("fit", data, *QUICK, "--out", "run")
    assert "24 train · 8 validation (official split)" in fitted.err
    labels = json.loads((tmp_path / "run/bundle/bundle.json").read_text())["labels"]
    assert labels == ["cat", "dog"]


def test_unlabelled_test_images_leave_a_test_score(regraft_command: Command, tmp_path: Path) -> None:
    data = folder(tmp_path / "contest/train", count=20).parent
    shutil.copytree(data / "train/cat", data / "test")
    fitted = regraft_command("fit", data, *QUICK, "--out", "run")
    assert "test, 8 images" in fitted.out
    assert "20 files without labels" in fitted.err


def test_the_layout_is_part_of_the_json(regraft_command: Command, tmp_path: Path) -> None:
    folder(tmp_path / "photos/photos")
    found = json.loads(regraft_command("check", tmp_path / "photos", "--json").out)
    assert found["layout"] == "a folder per class in photos/"


def test_the_error_about_one_class_names_the_folder_that_holds_more(
    regraft_command: Command, tmp_path: Path
) -> None:
    folder(tmp_path / "set/Images")
    for name in ("a", "b"):
        (tmp_path / "set/Notes").mkdir(exist_ok=True)
        (tmp_path / "set/Notes" / name).write_text("drawn by hand")
    said = regraft_command("check", tmp_path / "set").err
    assert "Images holds 2 class folders (cat, dog)" in said


def test_small_classes_are_described_once(regraft_command: Command, tmp_path: Path) -> None:
    folder(tmp_path / "set"), folder(tmp_path / "set", ("fox",), count=1)
    shown = regraft_command("check", tmp_path / "set").out
    assert "class fox has 1 training image" in shown
    assert "│ tiny-class │ tiny-class" not in shown
