"""The seam between what is computed and where: shards of work go out and come back whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from regraft.features.executors.task import Task
from regraft.progress import Meter, Reporter
from regraft.storage.shards import Failure

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Shard:
    """Images whose rows are computed together."""

    keys: tuple[str, ...]
    """What each image is called in the answer: its SHA-256, or for predictions its number."""
    paths: tuple[str, ...]
    """Where each image is, as an absolute path."""
    view: int = 0
    """Which view of the images is wanted; 0 is the centre."""

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, start: int, stop: int) -> Shard:
        """Some of the images, by their place."""
        return Shard(self.keys[start:stop], self.paths[start:stop], self.view)

    def to_json(self) -> str:
        """The shard as one line of JSON, for `shard_in`; names that are not Unicode survive."""
        return json.dumps([self.keys, self.paths, self.view])


def shard_in(text: str) -> Shard:
    """The shard that `Shard.to_json` has written."""
    keys, paths, view = json.loads(text)
    return Shard(tuple(keys), tuple(paths), int(view))


@dataclass(frozen=True)
class ShardRows:
    """What came of a shard: each of its images has a row or a reason."""

    keys: tuple[str, ...]
    """The images that have a row."""
    rows: Array
    """`(len(keys), width)`: features and activations as float16, a model's outputs as float64."""
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


class ShardWorker(Protocol):
    """Computes the rows of shards of one task, in some process."""

    def compute(self, shard: Shard) -> ShardRows:
        """The rows of a shard, and the reasons of the images that have none."""
        ...


class Opener(Protocol):
    """Makes a worker of a task's text; a function of a module, which other processes import by its name."""

    def __call__(self, task: str, *, name: str, is_mixed: bool) -> ShardWorker:
        """Open the task.

        Args:
            task: the text of the task.
            name: what the worker is called in messages.
            is_mixed: whether rows of other bits than the task expects are accepted.

        Raises:
            MachineError: this machine would compute other bits than the task expects.
            ExecutionError: a file can't be read here, or is another one.
        """
        ...


class Executor(Protocol):
    """Carries out shards of a task somewhere.

    Each comes back whole, in any order, at least once; only the process that asked writes to the cache.
    """

    def run(
        self, task: Task, shards: Iterator[Shard], reporter: Reporter, meter: Meter
    ) -> Iterator[tuple[Shard, ShardRows]]:
        """Yield every shard with its rows.

        Args:
            task: how rows are computed.
            shards: the work; a shard is taken from the iterator when there is somebody to do it, because
                taking it locks it for other processes.
            reporter: receives what happens to workers.
            meter: counts images as they are done, before their shard comes back.

        Raises:
            MachineError: a worker would compute other bits.
            ExecutionError: the workers can't be started.
        """
        ...
