"""The actors of Ray that carry out a task: who is idle, who computes what, and who is replaced.

Actors compute parts of shards and send them to this process, which alone writes. Ray neither restarts actors
nor repeats their work (`max_restarts`, `max_task_retries`): it would repeat a shard that kills its worker
without end and without a word. A dead actor is replaced here, and its shard counted (`parts.py`).
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from regraft.errors import ExecutionError, MachineError, RegraftError, words_of
from regraft.execution.parts import MOST_DEATHS, Group, Part, parts_of
from regraft.features.executors.executor import Opener, Shard, ShardRows, ShardWorker, shard_in
from regraft.features.executors.task import Task
from regraft.progress import Meter, Reporter

PART_ROWS = 256
"""The most images that an actor without a GPU computes at a time, a few seconds' work: the bar moves, and the
last shards are divided among all actors."""
_LEAST_PART_ROWS = 64  # fewer are not worth another actor
_PATIENCE_S = 60.0
_MOST_NAMED = 4


class _Actor:
    """What runs in an actor: a worker of one task at a time."""

    _worker: ShardWorker | None = None

    def open(self, opener: Opener, task: str, name: str, is_mixed: bool) -> tuple[str, str]:
        """The kind and text of what went wrong, the kind empty if nothing did; then the place."""
        place = f"{name} (process {os.getpid()} on {socket.gethostname()})"
        self._worker = None  # the memory of an earlier task's network is free before the next is loaded
        try:
            self._worker = opener(task, name=place, is_mixed=is_mixed)
        except RegraftError as error:
            return type(error).__name__, error.with_flags
        return "", place

    def compute(self, shard: str) -> tuple[tuple[str, ...], Any, dict[str, str], dict[str, str]]:
        """The fields of `ShardRows`."""
        assert self._worker is not None
        done = self._worker.compute(shard_in(shard))
        return done.keys, done.rows, dict(done.failed), dict(done.unread)


@dataclass(eq=False)
class _Member:
    """An actor, as this process knows it."""

    actor: Any
    name: str
    images: int = 0


def _shares(members: Sequence[_Member]) -> str:
    """Who has computed how many images, in one line."""
    if len(members) > _MOST_NAMED:
        counts = sorted(member.images for member in members)
        return f"{len(members):,} workers computed {counts[0]:,} to {counts[-1]:,} images each"
    return "; ".join(f"{member.name} computed {member.images:,} images" for member in members)


def _needed(task: Task) -> tuple[str, str, int | None]:
    """What actors are hired for."""
    return task.runtime, task.device, task.threads


@dataclass
class Crew:
    """Actors that are kept from one task to the next.

    Args:
        ray: the library, connected to a cluster.
        task: what the actors have opened, or are about to open.
        opener: makes the worker of a task in an actor.
        is_mixed: whether rows of other bits than the task expects are accepted.
    """

    ray: Any
    task: Task
    opener: Opener
    is_mixed: bool
    members: list[_Member] = field(default_factory=list)
    idle: list[_Member] = field(default_factory=list)
    busy: dict[Any, tuple[_Member, Part | None]] = field(default_factory=dict)
    """Who is computing which part, by the reference of the result; None while an actor is opened."""
    waiting: deque[Part] = field(default_factory=deque)
    hired: int = 0
    stillborn: int = 0
    """Actors that died one after the other while they were opened."""

    def __post_init__(self) -> None:
        resources = self.ray.cluster_resources()
        self.is_gpu = not self.task.device.startswith("cpu") and self.task.runtime == "torch"
        each = 1 if self.is_gpu else self.task.threads or 1
        self.most = int(resources.get("GPU" if self.is_gpu else "CPU", 0) // each)
        if self.most < 1:
            needed = "a GPU" if self.is_gpu else f"{each} processor cores"
            found = {kind: int(resources.get(kind, 0)) for kind in ("CPU", "GPU")}
            raise ExecutionError(f"a worker needs {needed}, and the Ray cluster has {found} in all")

    @property
    def _needs(self) -> dict[str, int]:
        """What an actor takes of the cluster."""
        return {"num_cpus": 1, "num_gpus": 1} if self.is_gpu else {"num_cpus": self.task.threads or 1}

    def turn_to(self, task: Task, opener: Opener, *, is_mixed: bool) -> bool:
        """Have the actors of an earlier task open this one; False if it needs others, and these are ended."""
        if (task, opener, is_mixed) == (self.task, self.opener, self.is_mixed):
            return True
        if _needed(task) != _needed(self.task):
            self.dismiss()
            return False
        self.task, self.opener, self.is_mixed = task, opener, is_mixed
        for member in [one for one in self.members if one not in self.idle]:  # it still opens the other task
            self.members.remove(member)
            self.ray.kill(member.actor)
        self.busy.clear()
        ready, self.idle = self.idle, []
        for member in ready:
            self._open(member)
        return True

    def results(
        self, shards: Iterator[Shard], reporter: Reporter, meter: Meter
    ) -> Iterator[tuple[Shard, ShardRows]]:
        """Every shard with its rows, as they come back."""
        for member in self.members:
            member.images = 0
        while True:
            self._hand_out(shards)
            if not self.waiting and not any(part for _, part in self.busy.values()):
                break
            group = self._next_result(reporter, meter)
            if group is not None and not group.open_parts:
                yield group.shard, group.rows
        if said := _shares([member for member in self.members if member.images]):
            reporter.note(said)

    def _hand_out(self, shards: Iterator[Shard]) -> None:
        """Take shards as long as there can be workers for them, give them out, and hire who is missing."""
        working = sum(part is not None for _, part in self.busy.values())
        while working + len(self.waiting) < self.most and (shard := next(shards, None)) is not None:
            self.waiting.extend(parts_of(shard, self.task.width, self._part_rows(shard)))
        while self.waiting and self.idle:
            member, part = self.idle.pop(), self.waiting.popleft()
            self.busy[member.actor.compute.remote(part.shard.to_json())] = (member, part)
            working += 1
        while len(self.members) < min(self.most, working + len(self.waiting)):
            self._hire()

    def _part_rows(self, shard: Shard) -> int | None:
        """The most images of a part: so few that every actor has one, if it is worth it; None is all."""
        if self.is_gpu:
            return None
        share = -(-len(shard) // self.most)
        return min(PART_ROWS, max(_LEAST_PART_ROWS, share))

    def _hire(self) -> None:
        self.hired += 1
        remote = self.ray.remote(max_restarts=0, max_task_retries=0, **self._needs)(_Actor)
        member = _Member(remote.remote(), f"worker {self.hired}")
        self.members.append(member)
        self._open(member)

    def _open(self, member: _Member) -> None:
        name = member.name.partition(" (")[0]
        opening = member.actor.open.remote(self.opener, self.task.to_json(), name, self.is_mixed)
        self.busy[opening] = (member, None)

    def _next_result(self, reporter: Reporter, meter: Meter) -> Group | None:
        """Wait for a worker; returns the shard of which it has finished a part."""
        ready, _ = self.ray.wait(list(self.busy), num_returns=1, timeout=_PATIENCE_S)
        if not ready:
            if not any(part for _, part in self.busy.values()):
                reporter.warn(
                    f"no worker could start for {_PATIENCE_S:.0f} s; are all processors of the Ray cluster "
                    "taken?"
                )
            return None
        member, part = self.busy.pop(ready[0])
        try:
            answer = self.ray.get(ready[0])
        except self.ray.exceptions.RayTaskError as error:
            raise ExecutionError(f"{member.name} failed: {words_of(error.cause or error, 300)}") from error
        except self.ray.exceptions.RayError:  # the actor or its machine died, or the result is lost
            return self._replace(member, part, reporter, meter)
        self.idle.append(member)
        if part is None:
            self._welcome(member, *answer)
            return None
        part.group.close(ShardRows(*answer))
        meter.advance(len(part.shard))
        member.images += len(part.shard)
        return part.group

    def _welcome(self, member: _Member, problem: str, text: str) -> None:
        self.stillborn = 0
        if problem:
            raise (MachineError if problem == MachineError.__name__ else ExecutionError)(text)
        member.name = text

    def _replace(self, member: _Member, part: Part | None, reporter: Reporter, meter: Meter) -> Group | None:
        """Have the work of a dead worker done by another one."""
        self.members.remove(member)
        self.ray.kill(member.actor)
        if part is None:
            self.stillborn += 1
            if self.stillborn == MOST_DEATHS:
                raise ExecutionError(
                    f"{MOST_DEATHS} workers died one after the other while they opened the network; is there "
                    "enough memory? Ray's logs are in /tmp/ray/session_latest/logs"
                )
            return None
        again = part.after_death()
        if not again:
            meter.advance()  # the image that is left out
        what = f"{len(part.shard):,} images are" if len(part.shard) > 1 else "1 image is"
        reporter.warn(f"{member.name} died; its {what} {'tried again' if again else 'left out'}")
        self.waiting.extendleft(reversed(again))
        return part.group

    def dismiss(self) -> None:
        """End all actors."""
        for member in self.members:
            self.ray.kill(member.actor)
        self.members.clear()
        self.idle.clear()
        self.busy.clear()
        self.waiting.clear()
