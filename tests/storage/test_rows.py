from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from regraft.storage.files import sha256_of_file
from regraft.storage.rows import Array, RowStore
from regraft.storage.upkeep import prune, stores_below, verify_store

WIDTH = 8


def keys(count: int, start: int = 0) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(start, start + count)]


def row_of(key: str) -> Array:
    return np.frombuffer(bytes.fromhex(key)[:16], dtype=np.float16)


class Computer:
    """Computes rows and remembers which."""

    def __init__(self, bad: Sequence[str] = ()) -> None:
        self.asked: list[str] = []
        self.bad = set(bad)

    def __call__(self, wanted: Sequence[str]) -> Iterator[tuple[str, Array | None]]:
        for key in reversed(wanted):
            self.asked.append(key)
            yield key, None if key in self.bad else row_of(key)


def store(folder: Path) -> RowStore:
    return RowStore(folder, width=WIDTH, dtype=np.float16, facts={"what": "test"})


def bits(array: Array) -> bytes:
    return array.tobytes()


def test_rows_come_back_in_the_order_asked(tmp_path: Path) -> None:
    rows = store(tmp_path).ensure(keys(1400), Computer())
    asked = keys(1400)[::-3]
    assert bits(rows.gather(asked)) == b"".join(bits(row_of(key)) for key in asked)


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(1200), Computer())
    again = Computer()
    store(tmp_path).ensure(keys(1200), again)
    assert again.asked == []


def test_only_new_images_are_computed(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(1200), Computer())
    more = Computer()
    store(tmp_path).ensure(keys(1205), more)
    assert sorted(more.asked) == sorted(keys(5, start=1200))


def test_the_same_image_twice_is_computed_once(tmp_path: Path) -> None:
    computer = Computer()
    rows = store(tmp_path).ensure(keys(3) * 2, computer)
    assert len(computer.asked) == 3
    assert len(rows.gather(keys(3) * 2)) == 6


def test_unusable_images_are_absent(tmp_path: Path) -> None:
    rows = store(tmp_path).ensure(keys(5), Computer(bad=keys(1)))
    assert [key in rows for key in keys(5)] == [False, True, True, True, True]


def test_columns_are_gathered_alone(tmp_path: Path) -> None:
    rows = store(tmp_path).ensure(keys(4), Computer())
    assert bits(rows.gather(keys(4), slice(2, 5))) == bits(rows.gather(keys(4))[:, 2:5].copy())


@pytest.mark.parametrize("part", ["npy", "json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_shard_is_rebuilt_to_the_same_bits(tmp_path: Path, part: str, damage: str) -> None:
    before = bits(store(tmp_path).ensure(keys(1200), Computer()).gather(keys(1200)))
    victim = sorted(path for path in tmp_path.glob(f"*.{part}") if path.name != "store.json")[0]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "remove":
        victim.unlink()
    else:
        victim.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    after = store(tmp_path).ensure(keys(1200), Computer()).gather(keys(1200))
    assert bits(after) == before


def test_every_single_flipped_bit_is_detected(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(40), Computer())
    data = next(tmp_path.glob("*.npy"))
    manifest = data.with_suffix(".json")
    whole, record = data.read_bytes(), manifest.read_bytes()
    for place in random.Random(0).sample(range(len(whole) * 8), 200):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        data.write_bytes(damaged)
        manifest.write_bytes(record)
        assert keys(1)[0] not in store(tmp_path).open()


def test_a_file_is_read_to_its_end_once_unless_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return sha256_of_file(path)

    monkeypatch.setattr("regraft.storage.rows.sha256_of_file", counted)
    store(tmp_path).ensure(keys(10), Computer())
    (array,) = tmp_path.glob("*.npy")
    long_ago = time.time() - 60
    os.utime(array, (long_ago, long_ago))
    read.clear()
    for _ in range(3):
        assert keys(1)[0] in store(tmp_path).open()
    assert read == [array.name]
    data = bytearray(array.read_bytes())
    data[-1] ^= 1
    array.write_bytes(data)
    assert keys(1)[0] not in store(tmp_path).open()


def test_verify_removes_what_is_damaged(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(1200), Computer())
    next(tmp_path.glob("*.npy")).write_bytes(b"garbage")
    assert len(verify_store(tmp_path)) == 1
    assert verify_store(tmp_path) == []


def test_prune_deletes_the_least_recently_used_first(tmp_path: Path) -> None:
    old, new = store(tmp_path / "old"), store(tmp_path / "new")
    old.ensure(keys(100), Computer())
    new.ensure(keys(100), Computer())
    for path in (tmp_path / "old").glob("*.json"):
        os.utime(path, (0, 0))
    total = sum(use.size_bytes for use in stores_below(tmp_path))
    assert prune(tmp_path, total - 2000) > 0
    assert keys(1)[0] not in old.open()
    assert keys(1)[0] in new.open()


def test_prune_deletes_trainings_too(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = tmp_path / "training" / name
        folder.mkdir(parents=True)
        (folder / "checkpoint.safetensors").write_bytes(b"x" * 1000)
        (folder / "network.safetensors").write_bytes(b"x" * 500)
    os.utime(tmp_path / "training" / "two" / "checkpoint.safetensors", (1, 1))
    assert prune(tmp_path, 1500) == 1500
    assert [path.parent.name for path in tmp_path.rglob("*.safetensors")] == ["one", "one"]


def test_open_rows_survive_a_prune(tmp_path: Path) -> None:
    rows = store(tmp_path).ensure(keys(100), Computer())
    prune(tmp_path, 0)
    assert bits(rows.gather(keys(100))[0]) == bits(row_of(keys(1)[0]))


def test_a_read_only_cache_is_read(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(10), Computer())
    for path in [*tmp_path.iterdir(), tmp_path]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert keys(1)[0] in store(tmp_path).open()
    finally:
        tmp_path.chmod(0o755)


SLOW_WRITER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.storage.test_rows import Computer, keys, store
import regraft.storage.rows
regraft.storage.rows.SHARD_ROWS = 50

class Slow(Computer):
    def __call__(self, wanted):
        for pair in super().__call__(wanted):
            time.sleep(0.0004)
            yield pair

slow = Slow()
print("ready", flush=True)
store(Path(sys.argv[1])).ensure(keys(400), slow)
print(len(slow.asked), flush=True)
"""


def writer(folder: Path) -> subprocess.Popen[str]:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", SLOW_WRITER, str(folder), root]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".lock")}


@pytest.mark.children
@pytest.mark.parametrize("kills", [5, pytest.param(1000, marks=pytest.mark.soak)])
def test_killed_at_random_moments_it_goes_on_to_the_same_bits(tmp_path: Path, kills: int) -> None:
    done = writer(tmp_path / "whole")
    assert done.wait() == 0
    whole = content(tmp_path / "whole")
    generator = random.Random(1)
    for trial in range(kills):
        folder = tmp_path / f"killed{trial}"
        process = writer(folder)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(generator.uniform(0, 0.35))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        finished = writer(folder)
        assert finished.wait() == 0
        assert finished.stdout is not None
        finished.stdout.close()
        assert content(folder) == whole, f"trial {trial}"
    assert done.stdout is not None
    done.stdout.close()


@pytest.mark.children
def test_processes_share_the_work(tmp_path: Path) -> None:
    processes = [writer(tmp_path / "one") for _ in range(4)]
    outputs = [process.communicate()[0].split() for process in processes]
    assert all(process.returncode == 0 for process in processes)
    total = sum(int(words[1]) for words in outputs)
    assert total == 400, "every row is computed by exactly one process"


def test_prune_deletes_unpacked_archives_too(tmp_path: Path) -> None:
    for number, name in enumerate(("old", "new")):
        place = tmp_path / "archives" / name / "plain.tar"
        place.parent.mkdir(parents=True)
        place.write_bytes(bytes(1000))
        os.utime(place, (number, number))
    assert prune(tmp_path, 1500) == 1000
    assert [path.parent.name for path in tmp_path.rglob("*.tar")] == ["new"]
