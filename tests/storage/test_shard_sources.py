"""Sources that compute several shards at the same time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from regraft.progress import Meter
from regraft.storage.locks import working_lock
from regraft.storage.rows import Array, RowStore
from regraft.storage.shards import Failure, manifest_paths, shard_name
from tests.storage.test_rows import Computer, bits, keys, row_of
from tests.storage.test_sharing import small

Pairs = list[tuple[str, Array | Failure | None]]


class Late:
    """Takes shards while others are under way, and gives the last one back first."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.taken: list[Sequence[str]] = []

    def __call__(
        self, shards: Iterator[Sequence[str]], meter: Meter
    ) -> Iterator[tuple[Sequence[str], Pairs]]:
        waiting: deque[Sequence[str]] = deque()
        for shard in shards:
            self.taken.append(shard)
            waiting.append(shard)
            if len(waiting) == self.at_once:
                yield self._done(waiting.pop())
        while waiting:
            yield self._done(waiting.pop())

    def _done(self, shard: Sequence[str]) -> tuple[Sequence[str], Pairs]:
        return shard, [(key, row_of(key)) for key in shard]


def test_shards_may_come_back_in_any_order(tmp_path: Path) -> None:
    rows = small(tmp_path).ensure_by(Late(3), keys(75))
    assert bits(rows.gather(keys(75))) == b"".join(bits(row_of(key)) for key in keys(75))
    assert len(manifest_paths(tmp_path)) == 8
    assert not list(tmp_path.glob("*.worklist"))


def test_the_store_is_the_same_as_that_of_one_after_the_other(tmp_path: Path) -> None:
    small(tmp_path / "a").ensure_by(Late(4), keys(75))
    small(tmp_path / "b").ensure(keys(75), Computer())
    names = [sorted(path.name for path in (tmp_path / name).glob("*.npy")) for name in "ab"]
    assert names[0] == names[1]


def lock_of(store: RowStore, shard: Sequence[str]) -> Path:
    return store.folder / f".{shard_name(shard)}.lock"


def test_a_shard_is_locked_from_when_it_is_taken_until_it_is_written(tmp_path: Path) -> None:
    store, free = small(tmp_path), []

    def source(shards: Iterator[Sequence[str]], meter: Meter) -> Iterator[tuple[Sequence[str], Pairs]]:
        first, second = next(shards), next(shards)
        for shard in (first, second):
            yield shard, [(key, row_of(key)) for key in shard]
            for one in (first, second):
                with working_lock(lock_of(store, one), wait=False) as is_free:
                    free.append(is_free)
        assert next(shards, None) is None

    store.ensure_by(source, keys(20))
    assert free == [True, False, True, True]


def test_locks_are_released_when_a_source_fails(tmp_path: Path) -> None:
    store, taken = small(tmp_path), []

    def source(shards: Iterator[Sequence[str]], meter: Meter) -> Iterator[tuple[Sequence[str], Pairs]]:
        taken.extend([next(shards), next(shards)])
        raise RuntimeError("no worker left")
        yield

    with pytest.raises(RuntimeError, match="no worker left"):
        store.ensure_by(source, keys(30))
    for shard in taken:
        with working_lock(lock_of(store, shard), wait=False) as is_free:
            assert is_free


def test_what_another_process_is_busy_with_comes_last(tmp_path: Path) -> None:
    store, late = small(tmp_path), Late(1)
    first = sorted(keys(30))[:10]
    with working_lock(lock_of(store, first), wait=True):
        taken = []

        def source(shards: Iterator[Sequence[str]], meter: Meter) -> Iterator[tuple[Sequence[str], Pairs]]:
            taken.append(None)
            if len(taken) == 2:
                raise KeyboardInterrupt  # the two free shards are written, and nothing else is free
            yield from late(shards, meter)

        with pytest.raises(KeyboardInterrupt):
            store.ensure_by(source, keys(30))
    assert [list(shard) for shard in late.taken] == [sorted(keys(30))[10:20], sorted(keys(30))[20:]]
