"""Shards that come back whole although workers die: what is tried again, and which image is to blame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from regraft.features.executors.executor import Shard, ShardRows, joined

MOST_DEATHS = 3
"""Number of workers that may die with the same shard, or with the same image, before it is given up."""


@dataclass
class Group:
    """A shard, and what has come of its parts."""

    shard: Shard
    width: int
    results: list[ShardRows] = field(default_factory=list)
    open_parts: int = 1

    @property
    def rows(self) -> ShardRows:
        """What came of the whole shard, when no part is open any more."""
        return joined(self.results, self.width)

    def close(self, rows: ShardRows) -> None:
        """Take in what has come of one part."""
        self.results.append(rows)
        self.open_parts -= 1


@dataclass
class Part:
    """Images of one shard that a worker computes together."""

    group: Group
    shard: Shard
    patience: int = MOST_DEATHS
    """With how many dead workers the part is divided, or its only image given up."""
    deaths: int = 0

    def after_death(self) -> list[Part]:
        """What is to be done now that a worker has died: the part again, its halves, or nothing.

        Halves are divided at the first death, since nothing is lost by it; a single image has the patience
        of a whole shard, because something else may have killed the workers.
        """
        self.deaths += 1
        if self.deaths < self.patience:
            return [self]
        if len(self.shard) == 1:
            reason = f"{self.deaths} workers died while they computed this image"
            nothing = np.empty((0, self.group.width), np.float16)
            self.group.close(ShardRows((), nothing, {self.shard.keys[0]: reason}))
            return []
        middle = len(self.shard) // 2
        halves = (self.shard.part(0, middle), self.shard.part(middle, len(self.shard)))
        self.group.open_parts += 1
        return [Part(self.group, half, MOST_DEATHS if len(half) == 1 else 1) for half in halves]


def parts_of(shard: Shard, width: int, most: int | None = None) -> list[Part]:
    """A shard as parts for different workers.

    Args:
        shard: the shard.
        width: number of values in a row.
        most: the most images in a part; None makes one part.
    """
    step = most or len(shard)
    starts = range(0, len(shard), step)
    group = Group(shard, width, open_parts=len(starts))
    return [Part(group, shard.part(start, start + step)) for start in starts]
