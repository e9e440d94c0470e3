from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from regraft.errors import DiskFullError, StorageError
from regraft.storage.files import copy_atomically, read_json, sha256_of_file, write_atomically, write_json
from regraft.storage.tables import csv_bytes, harmless, unguarded


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    write_atomically(tmp_path / "deep" / "file", [b"ab", b"cd"])
    assert (tmp_path / "deep" / "file").read_bytes() == b"abcd"


@pytest.mark.parametrize("step", ["fsync", "replace", "open"])
def test_a_failed_write_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    with monkeypatch.context() as patch:
        if step == "open":
            patch.setattr(Path, "open", fail)
        else:
            patch.setattr(os, step, fail)
        with pytest.raises(StorageError, match="I/O error"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["full", "quota"])
def test_a_full_disk_says_which_file_and_how_many_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskFullError, match=r"model\.bin \(3 bytes needed\)"):
        write_atomically(tmp_path / "model.bin", b"abc")
    assert os.listdir(tmp_path) == []


def test_the_temporary_of_a_killed_process_is_removed_by_the_next_writer(tmp_path: Path) -> None:
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    orphan = tmp_path / f".file.{int(gone.stdout)}.tmp"
    other = tmp_path / f".file.{os.getppid()}.tmp"
    for path in (orphan, other):
        path.write_bytes(b"half")
    write_atomically(tmp_path / "file", b"whole")
    assert not orphan.exists()
    assert other.exists()


def test_a_copy_equals_its_source(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(os.urandom(3 << 20))
    copy_atomically(tmp_path / "a", tmp_path / "b")
    assert sha256_of_file(tmp_path / "a") == sha256_of_file(tmp_path / "b")


def test_csv_cells_are_no_formulas() -> None:
    table = csv_bytes(("path", "n"), [("=cmd()", 1), ("@x", 2), ('a,"b"', 3)])
    assert table == b'path,n\n\'=cmd(),1\n\'@x,2\n"a,""b""",3\n'


def test_numbers_are_written_as_they_are_in_cells_and_in_the_header() -> None:
    table = csv_bytes(("true", "-1", "+1.5", "-x"), [("-1", "-2,5", "1e-3", "-1+2")])
    assert table == b"true,-1,+1.5,'-x\n-1,\"-2,5\",1e-3,'-1+2\n"


@pytest.mark.parametrize("text", ["=1", "-1", "'-1", "-", "''=x", "'tis", "@a", "+1 m"])
def test_guarded_cells_read_back(text: str) -> None:
    assert unguarded(harmless(text)) == text


def test_cells_that_were_guarded_by_earlier_versions_read_back() -> None:
    assert unguarded("'-1") == "-1"


def test_json_refuses_values_that_json_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "x.json", float("nan"))


def test_names_that_are_not_utf8_survive_in_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    write_json(tmp_path / "x.json", [name])
    assert read_json(tmp_path / "x.json") == [name]
