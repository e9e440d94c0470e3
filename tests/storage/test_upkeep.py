"""Tables of the cache are counted, and deleted by their age like everything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regraft.storage.upkeep import prune, tables_below

FOLDERS = ["scan/files", "scan/pairs"]


def table(root: Path, name: str, used: float, size: int = 1_000) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (used, used))
    return path


@pytest.mark.parametrize("folder", FOLDERS)
def test_tables_are_counted_with_their_last_use(tmp_path: Path, folder: str) -> None:
    table(tmp_path, f"{folder}/one.npz", 10.0, size=300)
    table(tmp_path, f"{folder}/two.npz", 20.0, size=500)
    table(tmp_path, f"{folder}/.one.npz.0123.tmp", 30.0)
    (found,) = tables_below(tmp_path)
    assert (found.files, found.size_bytes, found.last_used) == (2, 800, 20.0)


def test_an_empty_cache_has_no_tables(tmp_path: Path) -> None:
    assert tables_below(tmp_path) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_table_that_was_used_longest_ago_is_deleted_first(tmp_path: Path, folder: str) -> None:
    old, new = table(tmp_path, f"{folder}/old.npz", 1.0), table(tmp_path, f"{folder}/new.npz", 3.0)
    training = table(tmp_path, "training/one/checkpoint.safetensors", 2.0)
    assert prune(tmp_path, 1_500) == 2_000
    assert [path.exists() for path in (old, training, new)] == [False, False, True]


def test_nothing_is_deleted_while_everything_fits(tmp_path: Path) -> None:
    tables = [table(tmp_path, f"{folder}/one.npz", 1.0) for folder in FOLDERS]
    assert prune(tmp_path, 2_000) == 0
    assert all(path.exists() for path in tables)
