from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.data.findings.scan import ScanSettings
from regraft.data.pictures.loading import LoadLimits
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.dataset import BoxedDataset, boxed_dataset
from regraft.errors import DataError
from regraft.records import InputSpec
from tests.detection.shapes import USUAL, draw_shapes

SPEC = InputSpec(size_px=64, width_px=96)


def dataset_of(folder: Path, *, test_share: float = 0.25) -> BoxedDataset:
    scanning = ScanSettings(LoadLimits(), 0.1, 1, "group")
    return boxed_dataset(read_boxes(folder), scanning, seed=0, test_share=test_share)


def patterned(path: Path, seed: int) -> None:
    """A picture that is told apart from others when it is small, too."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    Image.fromarray(np.kron(coarse, np.ones((8, 8, 1), np.uint8))).save(path)


def names(dataset: BoxedDataset, side: str) -> set[str]:
    return {Path(one.path).name for one in dataset.pictures(side)}  # type: ignore[arg-type]


@pytest.fixture
def own_shapes(shapes: Path, tmp_path: Path, own_cache: Path) -> Path:
    return Path(shutil.copytree(shapes, tmp_path / "data"))


def test_a_drawn_test_side_has_its_share_of_every_class(own_shapes: Path) -> None:
    dataset = dataset_of(own_shapes)
    assert dataset.labels == ("disc", "square")
    kinds = Counter(label for one in dataset.pictures("test") for label in {box.label for box in one.boxes})
    assert all(2 <= kinds[label] <= 4 for label in dataset.labels)  # a quarter of 12 pictures each
    assert not names(dataset, "train") & names(dataset, "test")
    assert len(names(dataset, "train") | names(dataset, "test")) == 18


def test_copies_and_look_alikes_are_on_one_side_and_copies_count_once(own_shapes: Path) -> None:
    table = (own_shapes / "boxes.csv").read_text()
    for number in range(2, 8):
        own = own_shapes / "images" / f"{number:02d}.png"
        patterned(own, number)
        Image.open(own).save(own.with_name(f"{number:02d}-alike.png"), compress_level=1)
        shutil.copy(own, own.with_name(f"{number:02d}-copy.png"))
        lines = [line for line in table.splitlines() if f"/{number:02d}.png" in line]
        for kind in ("alike", "copy"):
            table += "".join(f"{line.replace('.png', f'-{kind}.png')}\n" for line in lines)
    (own_shapes / "boxes.csv").write_text(table)
    dataset = dataset_of(own_shapes)
    sides = {number: [names(dataset, side) for side in ("train", "test")] for number in range(2, 8)}
    for number, both in sides.items():
        counts = [sum(name.startswith(f"{number:02d}") for name in side) for side in both]
        assert sorted(counts) == [0, 2]  # one of the copies, and the look-alike
    folds = dict(zip([one.path for one in dataset.pictures("train")], dataset.folds, strict=True))
    by_number = {path[:9]: {fold for other, fold in folds.items() if other[:9] == path[:9]} for path in folds}
    assert all(len(numbers) == 1 for numbers in by_number.values())


def test_folds_spread_every_class(own_shapes: Path) -> None:
    dataset = dataset_of(own_shapes, test_share=0.0)
    assert set(dataset.folds) == {0, 1, 2, 3, 4}
    for label in dataset.labels:
        has = [any(box.label == label for box in one.boxes) for one in dataset.pictures("train")]
        counts = Counter(fold for fold, here in zip(dataset.folds, has, strict=True) if here)
        assert max(counts.values()) - min(counts.get(fold, 0) for fold in range(5)) <= 1
    assert [one.fold for one in dataset.scenes("train", SPEC)] == list(dataset.folds)


def test_published_sides_are_kept(tmp_path: Path, own_cache: Path) -> None:
    sides = ["train"] * 10 + ["val"] * 3 + ["test"] * 5
    dataset = dataset_of(draw_shapes(tmp_path / "data", USUAL, sides=sides))
    assert dataset.split.origin == "official"
    counts = [len(dataset.pictures(side)) for side in ("train", "validation", "test")]  # type: ignore[arg-type]
    assert counts == [10, 3, 5]


def test_a_class_without_training_boxes_is_left_out_and_reported(tmp_path: Path, own_cache: Path) -> None:
    objects = [["disc"], ["disc"], ["disc"], ["disc", "star"]]
    dataset = dataset_of(draw_shapes(tmp_path / "data", objects, sides=["train"] * 3 + ["test"]))
    assert dataset.labels == ("disc",)
    [scene] = dataset.scenes("test", SPEC)
    assert scene.classes.tolist() == [0]
    assert any(
        one.message == "class star has no box among the training pictures: it is left out"
        for one in dataset.images.findings
    )


@pytest.mark.parametrize(
    ("objects", "text"),
    [
        ([[], [], ["disc"]], "none of the 2 training pictures has a box that counts"),
        ([["disc"], [], ["disc"]], "only 1 training picture has boxes; at least 2 are needed"),
    ],
    ids=["none", "one"],
)
def test_too_few_boxes_are_refused(
    tmp_path: Path, own_cache: Path, objects: list[list[str]], text: str
) -> None:
    data = draw_shapes(tmp_path / "data", objects, sides=["train", "train", "test"])
    with pytest.raises(DataError, match=text):
        dataset_of(data)


def test_pictures_that_all_look_alike_are_refused(tmp_path: Path, own_cache: Path) -> None:
    data = draw_shapes(tmp_path / "data", [["disc"], ["disc"], []])
    patterned(data / "images" / "00.png", 0)
    image = Image.open(data / "images" / "00.png")
    image.save(data / "images" / "01.png", compress_level=1)
    with pytest.raises(
        DataError, match=r"all 2 training pictures with boxes look alike, .* use look_alikes ignore"
    ):
        dataset_of(data, test_share=0.0)


def test_pictures_with_names_that_are_no_text_are_not_lost(own_shapes: Path) -> None:
    strange = os.fsdecode(b"images/caf\xe9\n.png")
    os.rename(own_shapes / "images" / "00.png", own_shapes / strange)  # a background beside the others
    dataset = dataset_of(own_shapes)
    everyone = [*dataset.pictures("train"), *dataset.pictures("test")]
    assert len(everyone) == 18
    assert strange in {one.path for one in everyone}
    assert len(dataset.folds) == len(dataset.pictures("train"))
