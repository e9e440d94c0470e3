"""The index of a large archive is read once, as long as the archive is the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from regraft.data.archives import kept_indexes, places
from regraft.data.archives.members import Contents
from regraft.data.archives.places import find_inside, open_archive
from regraft.storage import verified
from tests.data.archives.made import JPEG, PNG, tar_of, zip_of

FILES = {"cat/1.png": PNG, "cat/K\u00e4se 2.jpg": JPEG, "dog/3.png": PNG}


class Opening:
    """Opens archives as another process would, and counts how often an index is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        contents = places._contents

        def counted(file: Path, kind: places.Kind) -> Contents:
            self.count += 1
            return contents(file, kind)

        now = time.time_ns
        monkeypatch.setattr(places, "_contents", counted)
        monkeypatch.setattr(kept_indexes, "_FEW", 0)
        monkeypatch.setattr(verified.time, "time_ns", lambda: now() + 60_000_000_000)

    def __call__(self, path: Path) -> Contents:
        places._opened.cache_clear()
        return open_archive(path).contents


@pytest.fixture
def opening(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Opening:
    return Opening(monkeypatch)


def kept(own_cache: Path) -> list[Path]:
    return list((own_cache / "scan" / "archives").glob("*.npz"))


@pytest.mark.parametrize(("name", "make"), [("a.tar", tar_of), ("a.zip", zip_of)])
def test_a_second_process_reads_no_index_and_finds_the_same(
    opening: Opening, tmp_path: Path, name: str, make: object
) -> None:
    path = tmp_path / name
    path.write_bytes(make(*FILES.items(), ("../out.png", PNG)))  # type: ignore[operator]
    first = opening(path)
    assert opening(path) == first
    assert len(first.refused) == 1
    assert opening.count == 1
    inside = find_inside(path / "cat" / "K\u00e4se 2.jpg")
    assert inside is not None
    assert inside.read() == JPEG


def test_the_index_of_a_changed_archive_is_read_again(opening: Opening, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(*FILES.items()))
    opening(path)
    state = path.stat()
    path.write_bytes(tar_of(*FILES.items(), ("dog/4.png", PNG)))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert list(opening(path).members) == [*FILES, "dog/4.png"]
    assert opening.count == 2


@pytest.mark.parametrize("damage", ["cut", "zeros", "empty"])
def test_a_damaged_index_costs_only_reading(
    opening: Opening, own_cache: Path, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(*FILES.items()))
    first = opening(path)
    (index,) = kept(own_cache)
    data = index.read_bytes()
    middle = len(data) // 2
    damaged = {"cut": data[:middle], "zeros": data[:middle] + bytes(64) + data[middle + 64 :], "empty": b""}
    index.write_bytes(damaged[damage])
    assert opening(path) == first
    assert opening.count == 2


def test_the_index_of_a_small_archive_is_not_kept(
    opening: Opening, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_indexes, "_FEW", 3)
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(*FILES.items()))
    opening(path)
    assert kept(own_cache) == []


def test_an_archive_that_becomes_a_folder_is_one(opening: Opening, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(*FILES.items()))
    assert find_inside(path / "cat" / "1.png") is not None
    path.unlink()
    (path / "cat").mkdir(parents=True)
    assert find_inside(path / "cat" / "1.png") is None
