from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from regraft.storage.files import sha256_of_file
from regraft.storage.rows import Array, RowStore
from regraft.storage.shards import Failure, forget_failures
from regraft.storage.upkeep import prune, remove_stale, stores_below, verify_store

WIDTH = 8


def keys(count: int, start: int = 0) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(start, start + count)]


def row_of(key: str) -> Array:
    return np.frombuffer(bytes.fromhex(key)[:16], dtype=np.float16)


class Computer:
    """Computes rows and remembers which; bad keys can't be read now, hopeless ones can't be used at all."""

    def __init__(self, bad: Sequence[str] = (), hopeless: Sequence[str] = ()) -> None:
        self.asked: list[str] = []
        self.bad, self.hopeless = set(bad), set(hopeless)

    def __call__(self, wanted: Sequence[str]) -> Iterator[tuple[str, Array | Failure | None]]:
        for key in reversed(wanted):
            self.asked.append(key)
            if key in self.hopeless:
                yield key, Failure("hopeless")
            else:
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


def test_what_could_not_be_read_is_tried_again_next_time(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(5), Computer(bad=keys(2)))
    again = Computer()
    rows = store(tmp_path).ensure(keys(5), again)
    assert sorted(again.asked) == sorted(keys(2))
    assert bits(rows.gather(keys(1))) == bits(row_of(keys(1)[0]))


@pytest.mark.parametrize("count", [1, 5], ids=["nothing else", "beside rows"])
def test_a_failure_is_known_with_its_reason(tmp_path: Path, count: int) -> None:
    store(tmp_path).ensure(keys(count), Computer(hopeless=keys(1)))
    again = Computer()
    rows = store(tmp_path).ensure(keys(count), again)
    assert again.asked == []
    assert rows.reasons == {keys(1)[0]: "hopeless"}
    assert keys(1)[0] not in rows


def test_a_failure_is_tried_again_under_other_conditions(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(3), Computer(hopeless=keys(2)), conditions="old decoder")
    better = Computer(hopeless=keys(1))
    rows = store(tmp_path).ensure(keys(3), better, conditions="new decoder")
    assert sorted(better.asked) == sorted(keys(2))
    assert rows.reasons == {keys(1)[0]: "hopeless"}
    assert bits(rows.gather(keys(1, start=1))) == bits(row_of(keys(2)[1]))


def test_failures_are_forgotten_when_asked(tmp_path: Path) -> None:
    store(tmp_path / "one").ensure(keys(3), Computer(hopeless=keys(1)))
    store(tmp_path / "two").ensure(keys(1), Computer(hopeless=keys(1)))
    assert forget_failures(tmp_path, keys(2, start=1)) == 0
    assert forget_failures(tmp_path, keys(1)) == 2
    for name, count in (("one", 3), ("two", 1)):
        again = Computer()
        store(tmp_path / name).ensure(keys(count), again)
        assert again.asked == keys(1)


def test_a_cache_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    array = np.stack([row_of(key) for key in keys(3)])
    np.save(tmp_path / "0123.npy", array)
    manifest = {"keys": keys(3), "sha256": sha256_of_file(tmp_path / "0123.npy")}
    (tmp_path / "0123.json").write_text(json.dumps(manifest))
    computer = Computer()
    rows = store(tmp_path).ensure(keys(4), computer)
    assert computer.asked == keys(1, start=3)
    assert bits(rows.gather(keys(3))) == bits(array)
    assert verify_store(tmp_path) == []


def test_no_rows_are_an_empty_array(tmp_path: Path) -> None:
    rows = store(tmp_path).ensure(keys(4), Computer())
    assert rows.gather([]).shape == (0, rows.gather(keys(1)).shape[1])


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
    before = bits(store(tmp_path).ensure(keys(40), Computer()).gather(keys(40)))
    (data,) = tmp_path.glob("*.npy")
    whole = data.read_bytes()
    for place in random.Random(0).sample(range(len(whole) * 8), 200):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        data.write_bytes(damaged)
        again = Computer()
        assert bits(store(tmp_path).ensure(keys(40), again).gather(keys(1))) == before[: 2 * WIDTH]
        assert sorted(again.asked) == sorted(keys(40))
        assert data.read_bytes() == whole


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


def test_prune_deletes_failures_too(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(1), Computer(hopeless=keys(1)))
    assert prune(tmp_path, 0) > 0
    assert store(tmp_path).open().reasons == {}


def test_what_killed_processes_left_is_removed_after_a_day(tmp_path: Path) -> None:
    store(tmp_path).ensure(keys(10), Computer())
    left = [tmp_path / name for name in ("0123.0123456789abcdef.npy", ".x.npy.0123.tmp", ".x.lease")]
    for path in left:
        path.write_bytes(b"half")
    assert remove_stale(tmp_path) == 0
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    assert remove_stale(tmp_path) == 3
    assert keys(1)[0] in store(tmp_path).open()


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


def test_prune_deletes_unpacked_archives_too(tmp_path: Path) -> None:
    for number, name in enumerate(("old", "new")):
        place = tmp_path / "archives" / name / "plain.tar"
        place.parent.mkdir(parents=True)
        place.write_bytes(bytes(1000))
        os.utime(place, (number, number))
    assert prune(tmp_path, 1500) == 1000
    assert [path.parent.name for path in tmp_path.rglob("*.tar")] == ["new"]
