from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regraft.errors import DiskFullError, StorageError
from regraft.storage.files import (
    ORPHAN_S,
    copy_atomically,
    key_of,
    listed_key,
    read_json,
    remove_old,
    sha256_of_file,
    stream_atomically,
    write_atomically,
    write_json,
)
from regraft.storage.tables import csv_bytes, harmless, unguarded


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    write_atomically(tmp_path / "deep" / "file", [b"ab", b"cd"])
    assert (tmp_path / "deep" / "file").read_bytes() == b"abcd"


def test_a_stream_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    stream_atomically(tmp_path / "file", iter([b"ab", b"cd"]))

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        stream_atomically(tmp_path / "file", broken())
    assert (tmp_path / "file").read_bytes() == b"abcd"
    assert os.listdir(tmp_path) == ["file"]


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


def test_a_temporary_is_removed_by_the_next_writer_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".file.1.tmp").write_bytes(b"half")  # as earlier versions named it
    (tmp_path / ".file.0123456789abcdef.tmp").write_bytes(b"half")
    write_atomically(tmp_path / "file", b"whole")
    assert len(os.listdir(tmp_path)) == 3
    tomorrow = time.time() + ORPHAN_S + 60
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    write_atomically(tmp_path / "file", b"whole")
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_is_as_old_as_the_newest_file_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"x")
    os.utime(folder, (0, 0))
    assert remove_old([folder]) == 0
    os.utime(folder / "file", (0, 0))
    os.utime(folder, (0, 0))
    assert remove_old([folder]) == 1
    assert not folder.exists()


def test_no_two_writes_have_the_same_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[object] = set()
    replace = os.replace

    def noted(source: str, target: str) -> None:
        seen.add(source)
        replace(source, target)

    monkeypatch.setattr(os, "replace", noted)
    for _ in range(5):
        write_atomically(tmp_path / "file", b"x")
    assert len(seen) == 5


WRITER = """
import os, sys
from pathlib import Path
from regraft.storage.files import write_atomically
place, letter, failed, torn = Path(sys.argv[1]), sys.argv[2].encode(), 0, 0
for _ in range(int(sys.argv[3])):
    try:
        write_atomically(place, [letter * 40_000, letter * 40_000])
    except Exception:
        failed += 1
    data = place.read_bytes()
    torn += len(data) != 80_000 or len(set(data)) != 1
print(os.getpid(), failed, torn)
"""


@pytest.mark.children
@pytest.mark.parametrize("writes", [40, pytest.param(300, marks=pytest.mark.soak)])
def test_containers_write_the_same_file_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unshared: list[str], writes: int
) -> None:
    place = tmp_path / "file"
    command = [*unshared, sys.executable, "-c", WRITER, str(place)]
    writers = [
        subprocess.Popen([*command, letter, str(writes)], stdout=subprocess.PIPE, text=True)
        for letter in "ab"
    ]
    said = [process.communicate()[0].split() for process in writers]
    assert said == [["1", "0", "0"]] * 2, "process number, failed writes and torn files of each"
    tomorrow = time.time() + ORPHAN_S + 60
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    write_atomically(place, b"x")
    assert os.listdir(tmp_path) == ["file"]


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


@pytest.mark.parametrize("count", [0, 1, 999, 1_000, 1_001, 2_500])
def test_the_key_of_a_long_list_is_that_of_the_list(count: int) -> None:
    rows = [[f"class {number % 3}/{number} é.jpg", {"b": number, "a": None}] for number in range(count)]
    assert listed_key(iter(rows)) == key_of(rows)
