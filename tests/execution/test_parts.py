from __future__ import annotations

import numpy as np
import pytest

from regraft.execution.parts import Part, parts_of
from regraft.features.executors.executor import Shard, ShardRows


def shard(count: int) -> Shard:
    return Shard(tuple(f"{number:064}" for number in range(count)), ("/x",) * count)


def carried_out(part: Part, poison: set[str]) -> tuple[ShardRows, int]:
    """What comes of a part if workers die of some images, and how many of them die."""
    waiting, deaths = [part], 0
    while waiting:
        one = waiting.pop()
        if poison & set(one.shard.keys):
            deaths += 1
            waiting += one.after_death()
        else:
            rows = np.ones((len(one.shard), 2), np.float16)
            one.group.close(ShardRows(one.shard.keys, rows))
    assert part.group.open_parts == 0
    return part.group.rows, deaths


@pytest.mark.parametrize("place", [0, 6, 12])
def test_the_image_that_kills_workers_is_found_and_left_out(place: int) -> None:
    (work,) = parts_of(shard(13), 2)
    bad = work.shard.keys[place]
    rows, deaths = carried_out(work, {bad})
    assert set(rows.keys) == set(work.shard.keys) - {bad}
    assert rows.rows.shape == (12, 2)
    assert rows.failed == {bad: "3 workers died while they computed this image"}
    assert deaths <= 3 + 3 + 3  # the shard, halves of 7, 4 and 2 images, the image


def test_two_deaths_divide_nothing() -> None:
    (work,) = parts_of(shard(8), 2)
    assert work.after_death() == [work]
    assert work.after_death() == [work]
    assert [len(one.shard) for one in work.after_death()] == [4, 4]


def test_a_shard_of_which_every_image_kills_comes_back_with_reasons_alone() -> None:
    (work,) = parts_of(shard(3), 2)
    rows, _ = carried_out(work, set(work.shard.keys))
    assert rows.keys == ()
    assert rows.rows.shape == (0, 2)
    assert set(rows.failed) == set(work.shard.keys)


def test_a_shard_in_parts_is_whole_when_all_of_them_are() -> None:
    parts = parts_of(shard(5), 2, most=2)
    assert [len(part.shard) for part in parts] == [2, 2, 1]
    for number, part in enumerate(reversed(parts)):
        assert part.group.open_parts == 3 - number
        part.group.close(ShardRows(part.shard.keys, np.ones((len(part.shard), 2), np.float16)))
    assert parts[0].group.open_parts == 0
    assert sorted(parts[0].group.rows.keys) == list(shard(5).keys)
