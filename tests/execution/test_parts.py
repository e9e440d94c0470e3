from __future__ import annotations

import numpy as np
import pytest

from regraft.execution.parts import Part, part_of
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
    work = part_of(shard(13), 2)
    bad = work.shard.keys[place]
    rows, deaths = carried_out(work, {bad})
    assert set(rows.keys) == set(work.shard.keys) - {bad}
    assert rows.rows.shape == (12, 2)
    assert rows.failed == {bad: "3 workers died while they computed this image"}
    assert deaths <= 3 + 3 + 3  # the shard, halves of 7, 4 and 2 images, the image


def test_two_deaths_divide_nothing() -> None:
    work = part_of(shard(8), 2)
    assert work.after_death() == [work]
    assert work.after_death() == [work]
    assert [len(one.shard) for one in work.after_death()] == [4, 4]


def test_a_shard_of_which_every_image_kills_comes_back_with_reasons_alone() -> None:
    work = part_of(shard(3), 2)
    rows, _ = carried_out(work, set(work.shard.keys))
    assert rows.keys == ()
    assert rows.rows.shape == (0, 2)
    assert set(rows.failed) == set(work.shard.keys)
