"""Long splits are columns, short ones are JSON; both are read, and written only if they change."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest

from regraft.data import saved_splits
from regraft.data.findings.image_set import Images
from regraft.data.splits import split_images
from regraft.records import ImageItem
from regraft.tasks.classification import Classification


def images(count: int) -> Images:
    items = []
    for number in range(count):
        sha = hashlib.sha256(f"{number}".encode()).hexdigest()
        group = hashlib.sha256(f"{number // 3}".encode()).hexdigest()
        items.append(ImageItem(f"a/caf\udce9 {number}.png", "ab"[number % 2], sha, None, group))
    return Images("/data", tuple(items), task=Classification.of(["a", "b"]))


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_splits, "FEW", 50)


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.mark.usefixtures("long")
def test_a_long_split_is_columns_and_is_reused(tmp_path: Path) -> None:
    first = split_images(images(90), folder=tmp_path)
    table = pyarrow.parquet.read_table(only(tmp_path))
    assert table.column("side").to_pylist() == [row.side for row in first.rows]
    assert table.column("group").to_pylist() == [row.group for row in first.rows]
    again = split_images(images(90), folder=tmp_path)
    assert again.rows == first.rows
    assert again.history == "split of an earlier run reused for 90 of 90 images"


@pytest.mark.parametrize("few", [50, 500], ids=["columns", "JSON"])
def test_a_split_is_written_only_if_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(saved_splits, "FEW", few)
    split_images(images(90), folder=tmp_path)
    before = only(tmp_path).stat()
    split_images(images(90), folder=tmp_path)
    assert only(tmp_path).stat().st_ino == before.st_ino
    split_images(images(93), folder=tmp_path)
    assert only(tmp_path).stat().st_ino != before.st_ino


@pytest.mark.usefixtures("long")
def test_other_groups_are_another_split(tmp_path: Path) -> None:
    split_images(images(90), folder=tmp_path)
    before = only(tmp_path).read_bytes()
    alone = tuple(replace(item, group=None) for item in images(90).items)
    split_images(replace(images(90), items=alone), folder=tmp_path)
    assert only(tmp_path).read_bytes() != before


def test_a_json_split_of_an_earlier_version_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = split_images(images(90), folder=tmp_path)
    assert only(tmp_path).suffix == ".json"
    monkeypatch.setattr(saved_splits, "FEW", 50)
    longer = split_images(images(120), folder=tmp_path)
    assert only(tmp_path).suffix == ".parquet"
    sides = {row.sha256: row.side for row in longer.rows}
    assert all(sides[row.sha256] == row.side for row in first.rows)
    monkeypatch.setattr(saved_splits, "FEW", 500)
    assert split_images(images(120), folder=tmp_path).rows == longer.rows
    assert only(tmp_path).suffix == ".json"


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("place", [0.2, 0.5, 0.99])
def test_a_damaged_split_is_drawn_and_written_again(tmp_path: Path, place: float) -> None:
    first = split_images(images(90), folder=tmp_path)
    whole = only(tmp_path).read_bytes()
    damaged = bytearray(whole)
    damaged[int(place * len(damaged))] ^= 255
    only(tmp_path).write_bytes(damaged)
    again = split_images(images(90), folder=tmp_path)
    assert again.rows == first.rows
    assert only(tmp_path).read_bytes() == whole


def test_the_json_is_as_it_was(tmp_path: Path) -> None:
    split = split_images(images(9), folder=tmp_path)
    record = json.loads(only(tmp_path).read_text())
    assert list(record) == ["seed", "test_share", "origin", "rows", "sha256"]
    first = split.rows[0]
    assert record["rows"][0] == {
        "path": "a/caf\\xe9 0.png", "label": "a", "sha256": first.sha256, "side": first.side,
        "group": first.group,
    }  # fmt: skip


@pytest.mark.parametrize("change", [{"side": "other"}, {"sha256": "x"}, {"extra": "1"}])
def test_a_json_split_with_other_rows_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    split_images(images(9), folder=tmp_path)
    record = json.loads(only(tmp_path).read_text())
    record["rows"][0] |= change
    only(tmp_path).write_text(json.dumps(record))
    assert split_images(images(9), folder=tmp_path).history == ""
