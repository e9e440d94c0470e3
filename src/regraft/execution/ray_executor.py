"""Shards computed by actors of Ray, on this machine or a cluster; the only door to Ray.

Actors compute whole shards and send them to this process, which alone writes. Ray neither restarts actors nor
repeats their work (`max_restarts`, `max_task_retries`): it would repeat a shard that kills its worker without
end and without a word. A dead actor is replaced here, and its shard counted (`parts.py`).
"""

from __future__ import annotations

import itertools
import os
import secrets
import socket
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from regraft.errors import ExecutionError, MachineError, RegraftError, words_of
from regraft.execution.parts import MOST_DEATHS, Group, Part, part_of
from regraft.execution.worker import Worker
from regraft.features.executors.executor import Shard, ShardRows, shard_in
from regraft.features.executors.task import ExtractionTask, task_in
from regraft.machine.processor import count_cores
from regraft.progress import Reporter

_PATIENCE_S = 60.0
_WAITING_SHARDS = 4  # that the shared memory of a local cluster has room for, for each worker
_SHARD_ROWS = 1024
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@dataclass(frozen=True)
class RayExecutor:
    """Computes shards by actors of Ray, as many as there are processors for."""

    address: str | None = None
    """A cluster that is running, as in `10.0.0.1:6379` or `auto`; None starts one on this machine."""
    threads: int | None = None
    """Number of threads of each actor; None means one, or as many as the rows' bits depend on."""
    is_mixed: bool = False
    """Whether rows of other bits than the task expects are accepted."""

    def run(
        self, task: ExtractionTask, shards: Iterator[Shard], reporter: Reporter
    ) -> Iterator[tuple[Shard, ShardRows]]:
        first = next(shards, None)
        if first is None:  # nothing to do, so nothing is started
            return
        bound = task.threads if task.runtime == "torch" else None
        device = task.device.partition(":")[0]  # every actor sees one GPU, its own
        task = task.model_copy(update={"threads": self.threads or bound or 1, "device": device})
        crew = _Crew(_connected(self.address, task), task, self.is_mixed, reporter)
        try:
            yield from crew.results(itertools.chain([first], shards))
        finally:
            crew.dismiss()


def _connected(address: str | None, task: ExtractionTask) -> Any:
    """The library, connected to a cluster; nothing is reported to Ray's makers, and a token is required.

    Raises:
        ExecutionError: there is no cluster at the address, it refuses, or it would accept everybody.
    """
    loaded = sys.modules.get("ray")
    if loaded is not None and loaded.is_initialized():
        return loaded
    if loaded is not None and not os.environ.get("RAY_AUTH_MODE"):  # which Ray reads when it is imported
        raise ExecutionError(
            "Ray was imported before, without a token; set RAY_AUTH_MODE=token in the environment before the "
            "program starts"
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of a change to come
    if address is None and not any(os.environ.get(name) for name in _TOKENS):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # of this command's own cluster
    import ray

    cores = count_cores()
    room = max(256 << 20, _WAITING_SHARDS * cores * _SHARD_ROWS * task.width * 2)
    own = {"include_dashboard": False, "num_cpus": cores, "object_store_memory": room}
    try:
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        ray.init(address=address or "local", **quiet, **({} if address else own))
    except (OSError, RuntimeError, ValueError) as error:
        known = " or ".join(f"${name}" for name in _TOKENS)
        raise ExecutionError(
            f"can't connect to Ray at {address or 'this machine'}: {words_of(error, 300)}. Start it with "
            f"RAY_AUTH_MODE=token `ray start --head`, and give its token in {known} or ~/.ray/auth_token"
        ) from error
    return ray


class _Actor:
    """What runs in an actor: a worker that is opened once."""

    def open(self, task: str, name: str, is_mixed: bool) -> tuple[str, str]:
        """The kind and text of what went wrong, the kind empty if nothing did; then the place."""
        place = f"{name} (process {os.getpid()} on {socket.gethostname()})"
        try:
            self._worker = Worker(task_in(task), name=place, is_mixed=is_mixed)
        except RegraftError as error:
            return type(error).__name__, error.with_flags
        return "", place

    def compute(self, shard: str) -> tuple[tuple[str, ...], Any, dict[str, str], dict[str, str]]:
        """The fields of `ShardRows`."""
        done = self._worker.compute(shard_in(shard))
        return done.keys, done.rows, dict(done.failed), dict(done.unread)


@dataclass(eq=False)
class _Member:
    """An actor, as this process knows it."""

    actor: Any
    name: str
    shards: int = 0
    images: int = 0


@dataclass
class _Crew:
    """The actors of one task: who is idle, who computes what, and what has to be computed."""

    ray: Any
    task: ExtractionTask
    is_mixed: bool
    reporter: Reporter
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

    def results(self, shards: Iterator[Shard]) -> Iterator[tuple[Shard, ShardRows]]:
        """Every shard with its rows, as they come back."""
        while True:
            self._hand_out(shards)
            if not self.waiting and not any(part for _, part in self.busy.values()):
                break
            group = self._next_result()
            if group is not None and not group.open_parts:
                yield group.shard, group.rows
        for member in self.members:
            self.reporter.note(f"{member.name}: {member.shards:,} shards, {member.images:,} images")

    def _hand_out(self, shards: Iterator[Shard]) -> None:
        """Take as many shards as there can be workers for, give them out, and hire who is missing."""
        working = sum(part is not None for _, part in self.busy.values())
        free = self.most - working - len(self.waiting)
        self.waiting.extend(
            part_of(shard, self.task.width) for shard in itertools.islice(shards, max(0, free))
        )
        while self.waiting and self.idle:
            member, part = self.idle.pop(), self.waiting.popleft()
            self.busy[member.actor.compute.remote(part.shard.to_json())] = (member, part)
            working += 1
        while len(self.members) < min(self.most, working + len(self.waiting)):
            self._hire()

    def _hire(self) -> None:
        self.hired += 1
        needs = {"num_cpus": 1, "num_gpus": 1} if self.is_gpu else {"num_cpus": self.task.threads or 1}
        remote = self.ray.remote(max_restarts=0, max_task_retries=0, **needs)(_Actor)
        member = _Member(remote.remote(), f"worker {self.hired}")
        self.members.append(member)
        opening = member.actor.open.remote(self.task.to_json(), member.name, self.is_mixed)
        self.busy[opening] = (member, None)

    def _next_result(self) -> Group | None:
        """Wait for a worker; returns the shard of which it has finished a part."""
        ready, _ = self.ray.wait(list(self.busy), num_returns=1, timeout=_PATIENCE_S)
        if not ready:
            if not any(part for _, part in self.busy.values()):
                self.reporter.warn(
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
            return self._replace(member, part)
        self.idle.append(member)
        if part is None:
            self._welcome(member, *answer)
            return None
        part.group.close(ShardRows(*answer))
        member.shards, member.images = member.shards + 1, member.images + len(part.shard)
        return part.group

    def _welcome(self, member: _Member, problem: str, text: str) -> None:
        self.stillborn = 0
        if problem:
            raise (MachineError if problem == MachineError.__name__ else ExecutionError)(text)
        member.name = text

    def _replace(self, member: _Member, part: Part | None) -> Group | None:
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
        what = f"{len(part.shard):,} images are" if len(part.shard) > 1 else "1 image is"
        self.reporter.warn(f"{member.name} died; its {what} {'tried again' if again else 'left out'}")
        self.waiting.extendleft(reversed(again))
        return part.group

    def dismiss(self) -> None:
        """End all actors."""
        for member in self.members:
            self.ray.kill(member.actor)
        self.members.clear()
