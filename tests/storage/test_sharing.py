"""Several processes, and what one that was killed has left, in one store."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from regraft.storage import rows as rows_module
from regraft.storage.rows import Array, RowStore
from regraft.storage.shards import array_path, manifest_paths, read_manifest, write_shard
from tests.nursery import Child, Nursery, opened
from tests.storage.test_rows import Computer, bits, keys, row_of, store

ROOT = Path(__file__).parents[2]
SLOW_WRITER = """
import sys, time
from pathlib import Path
from tests.storage.test_rows import Computer, keys, store
import regraft.storage.rows
regraft.storage.rows.SHARD_ROWS = 32

class Slow(Computer):
    def __call__(self, wanted):
        for key, row in super().__call__(wanted):
            time.sleep(0.0004)
            print(key, flush=True)
            yield key, row

store(Path(sys.argv[1])).ensure(keys(300), Slow(hopeless=keys(3, start=100)))
"""
"""Prints the key of each row that it computes."""


@pytest.fixture(scope="module")
def children() -> Iterator[Nursery]:
    with opened("tests.storage.test_rows") as parent:
        yield parent


def started(children: Nursery, folder: Path, name: str, **environment: str) -> Child:
    return children.start(
        SLOW_WRITER, str(folder / "store"), folder=folder, output=f"{name}.txt", **environment
    )


def computed(child: Child) -> list[str]:
    """The keys that a process has computed; the last line of a killed one may be cut."""
    return [line for line in child.output.read_text().splitlines() if len(line) == 64]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def settled(folder: Path) -> Counter[str]:
    """How many shards of a store have each key, as a row or as a failure."""
    manifests = [read_manifest(path) for path in manifest_paths(folder)]
    return Counter(key for one in manifests for key in [*one.keys, *one.failed])


def assert_whole(folder: Path) -> None:
    """The store has each key once, the right rows, and nothing left to do."""
    assert settled(folder) == Counter(keys(300))
    again = Computer()
    rows = store(folder).ensure(keys(300), again)
    good = [key for key in keys(300) if key not in keys(3, start=100)]
    assert again.asked == []
    assert bits(rows.gather(good)) == b"".join(bits(row_of(key)) for key in good)
    assert not list(folder.glob("*.worklist"))


@pytest.mark.children
def test_staggered_processes_compute_each_row_once(children: Nursery, tmp_path: Path) -> None:
    processes = []
    for name in "abc":
        processes.append(started(children, tmp_path, name))
        time.sleep(0.03)
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert Counter(key for process in processes for key in computed(process)) == Counter(keys(300))
    assert_whole(tmp_path / "store")


@pytest.mark.children
@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_each_killed_in_turn_loses_one_shard_at_most(children: Nursery, tmp_path: Path, rounds: int) -> None:
    generator = random.Random(0)
    for number in range(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        processes = []
        for name in "abc":
            processes.append(started(children, folder, name))
            time.sleep(generator.uniform(0, 0.03))
        victim = processes.pop(number % 3)
        time.sleep(generator.uniform(0, 0.05))
        victim.kill()
        victim.wait()
        assert [process.wait() for process in processes] == [0, 0]
        times = Counter(key for process in (victim, *processes) for key in computed(process))
        shards = {sorted(keys(300)).index(key) // 32 for key, count in times.items() if count > 1}
        assert set(times) == set(keys(300))
        assert len(shards) <= 1
        assert_whole(folder / "store")


@pytest.mark.children
@pytest.mark.parametrize("kills", [5, pytest.param(1000, marks=pytest.mark.soak)])
def test_killed_at_random_moments_it_goes_on_to_the_same_bits(
    children: Nursery, tmp_path: Path, kills: int
) -> None:
    (tmp_path / "whole").mkdir()
    assert started(children, tmp_path / "whole", "a").wait() == 0
    whole = content(tmp_path / "whole" / "store")
    generator = random.Random(1)
    for trial in range(kills):
        folder = tmp_path / f"killed{trial}"
        folder.mkdir()
        process = started(children, folder, "a")
        time.sleep(generator.uniform(0, 0.2))
        process.kill()
        process.wait()
        assert started(children, folder, "b").wait() == 0
        assert content(folder / "store") == whole, f"trial {trial}"


@pytest.mark.children
def test_containers_share_the_work(tmp_path: Path, unshared: list[str]) -> None:
    command = [*unshared, sys.executable, "-c", SLOW_WRITER, str(tmp_path / "store")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    said = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert Counter([*said[0], *said[1]]) == Counter(keys(300))
    assert_whole(tmp_path / "store")


def small(folder: Path) -> RowStore:
    return RowStore(folder, width=8, dtype=np.float16, facts={}, shard_rows=10)


class Stopping(Computer):
    """Computes some rows, then stops like a process that is killed."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def __call__(self, wanted: Sequence[str]) -> Iterator[tuple[str, Array]]:
        for key in wanted:
            if len(self.asked) == self.after:
                raise KeyboardInterrupt
            self.asked.append(key)
            yield key, row_of(key)


def stopped(folder: Path, wanted: Sequence[str], after: int) -> Computer:
    computer = Stopping(after)
    with pytest.raises(KeyboardInterrupt):
        small(folder).ensure(wanted, computer)
    return computer


def test_what_was_begun_is_continued_at_the_same_cut(tmp_path: Path) -> None:
    first = stopped(tmp_path, keys(40), after=25)
    assert len(list(tmp_path.glob("*.worklist"))) == 1
    second = Computer()
    small(tmp_path).ensure(keys(45), second)
    assert sorted(second.asked) == sorted([*sorted(keys(40))[20:], *keys(5, start=40)])
    assert len(manifest_paths(tmp_path)) == 5
    assert set(first.asked[:20]).isdisjoint(second.asked)


def test_rows_of_images_that_only_another_process_has_are_left_to_it(tmp_path: Path) -> None:
    stopped(tmp_path, keys(40), after=5)
    second, third = Computer(), Computer()
    small(tmp_path).ensure(keys(9), second)
    assert sorted(second.asked) == sorted(keys(9))
    assert len(manifest_paths(tmp_path)) == 1, "what is needed of several shards is one shard"
    small(tmp_path).ensure(keys(40), third)
    assert sorted(third.asked) == sorted(keys(31, start=9))
    assert not list(tmp_path.glob("*.worklist"))


@contextmanager
def no_lock(path: Path, *, wait: bool) -> Iterator[bool]:
    yield True


def test_without_any_lock_rows_may_be_computed_twice_but_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "working_lock", no_lock)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: small(tmp_path).ensure(keys(60), Computer()), range(3)))
    for rows in results:
        assert bits(rows.gather(keys(60))) == b"".join(bits(row_of(key)) for key in keys(60))
    assert set(settled(tmp_path)) == set(keys(60))


def test_two_writers_of_a_shard_cannot_mix(tmp_path: Path) -> None:
    ours, theirs = np.zeros((2, 8), np.float16), np.ones((2, 8), np.float16)
    first = write_shard(tmp_path, keys(2), ours, {}, "")
    second = write_shard(tmp_path, keys(2), theirs, {}, "")
    assert first.path == second.path
    assert bits(np.load(array_path(first.path, first.sha256))) == bits(ours)
    rows = small(tmp_path).open()
    assert bits(rows.gather(keys(2))) == bits(theirs)


def test_an_array_is_named_after_its_own_hash(tmp_path: Path) -> None:
    small(tmp_path).ensure(keys(3), Computer())
    (array,) = tmp_path.glob("*.npy")
    assert array.name.split(".")[1] == hashlib.sha256(array.read_bytes()).hexdigest()[:16]
