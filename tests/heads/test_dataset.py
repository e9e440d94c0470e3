from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import regraft
from regraft.data.splits import split_images
from regraft.features.extraction import Features
from regraft.heads.dataset import Dataset
from regraft.storage.rows import Rows


class EveryRow(Rows):
    """Rows that hold any image."""

    def __init__(self) -> None:
        super().__init__([], {})

    def __contains__(self, key: str) -> bool:
        return True


def dataset(source: Path, test_share: float = 0.2) -> Dataset:
    images = regraft.load_images(source)
    split = split_images(images, seed=0, test_share=test_share)
    return Dataset(images, split, Features(EveryRow(), (), ()), 0)


@pytest.mark.parametrize("share", [0.1, 0.15, 0.25, 0.5])
def test_the_share_held_out_is_about_what_was_asked_for(digits: Path, share: float) -> None:
    one = dataset(digits)
    train, held, _ = one.held_out(share)
    assert len(held) / (len(train) + len(held)) == pytest.approx(1 / round(1 / share), abs=0.02)
    assert sorted(train + held) == one.rows("train")


def test_classes_are_held_out_alike_and_groups_whole(digits: Path) -> None:
    one = dataset(digits)
    train, held, _ = one.held_out(0.2)
    counts = Counter(one.truth(held).tolist())
    assert max(counts.values()) - min(counts.values()) <= 3
    groups = [{one.split.rows[row].group for row in rows} for rows in (train, held)]
    assert not groups[0] & groups[1]


def test_nothing_is_held_out_for_a_share_of_nothing(digits: Path) -> None:
    train, held, method = dataset(digits).held_out(0.0)
    assert (held, method) == ([], "none")
    assert len(train) == len(dataset(digits).rows("train"))


def test_an_official_validation_side_is_used(photos: Path) -> None:
    table = photos / "table.csv"
    paths = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    sides = np.array(["train", "validation", "test"])[np.arange(len(paths)) % 3]
    lines = [f"{path},{path.split('/')[0]},{side}" for path, side in zip(paths, sides, strict=True)]
    table.write_text("path,label,split\n" + "\n".join(lines))
    one = dataset(table)
    train, held, method = one.held_out(0.15)
    assert held == one.rows("validation")
    assert train == one.rows("train")
    assert "official split" in method
