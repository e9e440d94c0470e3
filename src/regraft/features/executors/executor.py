"""The seam between what is computed and where: shards of work go out and come back whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from regraft.features.executors.task import ExtractionTask
from regraft.progress import Reporter
from regraft.storage.shards import Failure

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Shard:
    """Images whose rows are computed together."""

    keys: tuple[str, ...]
    """SHA-256 of each image."""
    paths: tuple[str, ...]
    """Where each image is, as an absolute path."""

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, start: int, stop: int) -> Shard:
        """Some of the images, by their place."""
        return Shard(self.keys[start:stop], self.paths[start:stop])

    def to_json(self) -> str:
        """The shard as one line of JSON, for `shard_in`; names that are not Unicode survive."""
        return json.dumps([self.keys, self.paths])


def shard_in(text: str) -> Shard:
    """The shard that `Shard.to_json` has written."""
    keys, paths = json.loads(text)
    return Shard(tuple(keys), tuple(paths))


@dataclass(frozen=True)
class ShardRows:
    """What came of a shard: each of its images has a row or a reason."""

    keys: tuple[str, ...]
    """The images that have a row."""
    rows: Array
    """`(len(keys), width) float16`."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why some images can't be used, which would be the same next time."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why some images could not be read this time."""

    def pairs(self) -> Iterator[tuple[str, Array | Failure | None]]:
        """Each image with its row, its failure, or None, as `RowSource` yields them."""
        yield from zip(self.keys, self.rows, strict=True)
        for key, reason in self.failed.items():
            yield key, Failure(reason)
        for key in self.unread:
            yield key, None


def joined(parts: list[ShardRows], width: int) -> ShardRows:
    """The results of a shard's parts, as those of the shard."""
    if len(parts) == 1:
        return parts[0]
    keys = tuple(key for part in parts for key in part.keys)
    arrays = [part.rows for part in parts if len(part.keys)]
    rows = np.concatenate(arrays) if arrays else np.empty((0, width), np.float16)
    failed = {key: reason for part in parts for key, reason in part.failed.items()}
    unread = {key: reason for part in parts for key, reason in part.unread.items()}
    return ShardRows(keys, rows, failed, unread)


class Executor(Protocol):
    """Carries out shards of a task somewhere.

    Each comes back whole, in any order, at least once; only the process that asked writes to the cache.
    """

    def run(
        self, task: ExtractionTask, shards: Iterator[Shard], reporter: Reporter
    ) -> Iterator[tuple[Shard, ShardRows]]:
        """Yield every shard with its rows.

        Args:
            task: how rows are computed.
            shards: the work; a shard is taken from the iterator when there is somebody to do it, because
                taking it locks it for other processes.
            reporter: receives what happens to workers.

        Raises:
            MachineError: a worker would compute other bits.
            ExecutionError: the workers can't be started.
        """
        ...
