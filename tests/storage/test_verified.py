"""Arrays are compared with their hashes when they are first read, and what was found whole is remembered."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from regraft.errors import StorageError
from regraft.storage import mapped, rows, verified
from regraft.storage.files import sha256_of_file
from regraft.storage.rows import RowStore
from regraft.storage.upkeep import verify_store
from tests.storage.test_rows import Computer, bits, keys, row_of, store


class Reads:
    """The names of the arrays that are read to their ends; a new process has no memory of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self._patch = monkeypatch
        monkeypatch.setattr(verified, "sha256_of_file", self)

    def __call__(self, path: Path) -> str:
        self.names.append(path.name)
        return sha256_of_file(path)

    def as_new_process(self, later_s: float = 60.0) -> None:
        now = time.time_ns
        self._patch.setattr(verified, "_whole", set())
        self._patch.setattr(verified.time, "time_ns", lambda: now() + int(later_s * 1e9))
        self.names.clear()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def test_nothing_is_read_until_it_is_gathered(tmp_path: Path, reads: Reads) -> None:
    small(tmp_path).ensure(keys(40), Computer())
    opened = small(tmp_path).open()
    assert reads.names == []
    opened.gather(sorted(keys(40))[:5])
    assert len(reads.names) == 1


def small(folder: Path) -> RowStore:
    return RowStore(folder, width=8, dtype="float16", facts={}, shard_rows=10)


def test_the_next_process_does_not_read_again_what_was_whole(tmp_path: Path, reads: Reads) -> None:
    small(tmp_path).ensure(keys(40), Computer())
    reads.as_new_process()
    small(tmp_path).open().gather(keys(40))
    assert len(reads.names) == 4
    reads.as_new_process()
    small(tmp_path).open().gather(keys(40))
    assert reads.names == []


def test_an_array_that_was_written_a_moment_ago_is_read_again(tmp_path: Path, reads: Reads) -> None:
    store(tmp_path).ensure(keys(5), Computer()).gather(keys(5))
    assert not (tmp_path / verified.RECORD).exists()
    store(tmp_path).open().gather(keys(5))
    assert len(reads.names) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}', b'{"a": ["b", 1, 2, 3]}', b"\xff\0"])
def test_a_damaged_record_costs_only_reading(tmp_path: Path, reads: Reads, content: bytes) -> None:
    small(tmp_path).ensure(keys(40), Computer())
    (tmp_path / verified.RECORD).write_bytes(content)
    reads.as_new_process()
    assert bits(small(tmp_path).open().gather(keys(40))) == b"".join(bits(row_of(key)) for key in keys(40))
    assert len(reads.names) == 4


def known_whole(folder: Path, reads: Reads) -> Path:
    """A store whose only array is remembered as whole."""
    store(folder).ensure(keys(5), Computer())
    reads.as_new_process()
    store(folder).open().gather(keys(5))
    reads.as_new_process()
    (array,) = folder.glob("*.npy")
    return array


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def set_time_back(path: Path) -> None:
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    before = path.stat()
    other = path.with_suffix(".other")
    other.write_bytes(path.read_bytes())
    flip(other)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("damage", [flip, set_time_back, replace])
def test_what_was_whole_and_has_changed_is_computed_again(
    tmp_path: Path, reads: Reads, damage: Callable[[Path], None]
) -> None:
    damage(known_whole(tmp_path, reads))
    again = Computer()
    found = store(tmp_path).ensure(keys(5), again)
    assert again.asked == []
    assert bits(found.gather(keys(5))) == b"".join(bits(row_of(key)) for key in keys(5))
    assert sorted(again.asked) == sorted(keys(5))


def test_damage_is_an_error_where_nothing_can_compute_the_rows(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(5), Computer())
    (array,) = tmp_path.glob("*.npy")
    flip(array)
    opened = store(tmp_path).open()
    with pytest.raises(StorageError, match=rf"{array.name} was damaged, and has been deleted\. Run the same"):
        opened.gather(keys(2))
    assert keys(1)[0] not in store(tmp_path).open()


def test_damage_is_an_error_if_an_image_is_gone(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(5), Computer())
    (array,) = tmp_path.glob("*.npy")
    flip(array)
    opened = store(tmp_path).ensure(keys(5), Computer(hopeless=keys(1)))
    with pytest.raises(StorageError, match=r"1 of its 5 rows can't be computed again.*hopeless"):
        opened.gather(keys(2))


def test_a_full_verification_finds_what_looks_unchanged(tmp_path: Path, reads: Reads) -> None:
    array = known_whole(tmp_path, reads)
    (hash_of_it,) = {one[0] for one in json.loads((tmp_path / verified.RECORD).read_text()).values()}
    flip(array)
    record = {array.name: [hash_of_it, *verified.FileState.of(array.stat())]}
    (tmp_path / verified.RECORD).write_text(json.dumps(record))
    assert bits(store(tmp_path).open().gather(keys(5))) != b"".join(bits(row_of(key)) for key in keys(5))
    assert len(verify_store(tmp_path)) == 1


def test_more_shards_than_files_may_be_open_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: Reads
) -> None:
    monkeypatch.setattr(rows, "most_open", lambda: 2)
    found = small(tmp_path).ensure(keys(60), Computer())
    again = small(tmp_path).ensure(keys(60), Computer())
    for opened in (found, again):
        assert bits(opened.gather(keys(60))) == b"".join(bits(row_of(key)) for key in keys(60))


def test_what_is_not_kept_open_is_computed_again_after_a_prune(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "most_open", lambda: 2)
    computer = Computer()
    found = small(tmp_path).ensure(keys(40), computer)
    for path in tmp_path.iterdir():
        path.unlink()
    computer.asked.clear()
    assert bits(found.gather(keys(40))) == b"".join(bits(row_of(key)) for key in keys(40))
    assert len(computer.asked) == 20


def test_a_quarter_of_the_files_may_be_kept_open() -> None:
    assert mapped.most_open() >= 16


def test_a_read_only_cache_is_gathered(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(5), Computer())
    for path in [*tmp_path.iterdir(), tmp_path]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert len(store(tmp_path).open().gather(keys(5))) == 5
    finally:
        tmp_path.chmod(0o755)
