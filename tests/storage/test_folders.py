"""A folder that is whole or absent."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from regraft.errors import DiskFullError, StorageError
from regraft.outputs.files import new_folder
from regraft.storage.files import ORPHAN_S, whole_folder


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("count", [1, 150], ids=["few files", "many files"])
@pytest.mark.parametrize("is_there", [False, True], ids=["new", "empty"])
def test_a_folder_gets_its_files_when_all_are_written(is_there: bool, count: int, tmp_path: Path) -> None:
    place = tmp_path / "deep" / "folder"
    if is_there:
        place.mkdir(parents=True)
    with whole_folder(place) as temporary:
        (temporary / "inner").mkdir()
        for number in range(count):
            (temporary / "inner" / str(number)).write_bytes(b"x")
        assert not place.is_dir() or [path for path in place.iterdir() if path != temporary] == []
    assert len(names(place)) == count + 1
    assert names(tmp_path)[:2] == ["deep", "deep/folder"]
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "empty"])
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_nothing(kind: type[BaseException], is_there: bool, tmp_path: Path) -> None:
    if is_there:
        (tmp_path / "folder").mkdir()

    def write() -> None:
        with whole_folder(tmp_path / "folder") as temporary:
            (temporary / "a").write_bytes(b"x")
            raise kind

    with pytest.raises(kind):
        write()
    assert names(tmp_path) == (["folder"] if is_there else [])


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, DiskFullError), (errno.EIO, StorageError)])
def test_errors_of_the_disk_name_the_folder(
    number: int, kind: type[StorageError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind, match=r"write .*crops"), whole_folder(tmp_path / "crops") as temporary:
        (temporary / "a").write_bytes(b"x")
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_removed_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".crops.0123456789abcdef.tmp" / "inner").mkdir(parents=True)
    with whole_folder(tmp_path / "crops"):
        pass
    assert len(os.listdir(tmp_path)) == 2
    (tmp_path / "crops").rmdir()
    tomorrow = time.time() + ORPHAN_S + 60
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    with whole_folder(tmp_path / "crops"):
        pass
    assert names(tmp_path) == ["crops"]


def test_a_new_folder_may_be_absent_or_empty_or_hold_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".DS_Store").write_bytes(b"x")
    for name in ("absent", "empty"):
        assert new_folder(tmp_path / name, "a folder of crops") == tmp_path / name
    with whole_folder(tmp_path / "empty") as temporary:
        (temporary / "a").write_bytes(b"x")
    assert names(tmp_path / "empty") == [".DS_Store", "a"]
