"""Shards computed by actors of Ray, on this machine or a cluster; the only door to Ray."""

from __future__ import annotations

import itertools
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from regraft.errors import ExecutionError, words_of
from regraft.execution.crew import Crew
from regraft.execution.worker import open_worker
from regraft.features.executors.executor import Opener, Shard, ShardRows
from regraft.features.executors.task import Task
from regraft.machine.processor import count_cores
from regraft.progress import Meter, Reporter

IDLE_S = 60.0
"""How long actors without work are kept for the next task; they hold processors of the cluster."""
_WAITING_SHARDS = 4  # that the shared memory of a local cluster has room for, for each worker
_SHARD_ROWS = 1024
_SHARD_BYTES = 64 << 20  # shards of wider rows have fewer of them
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
    opener: Opener = open_worker
    """Makes the worker of a task in an actor."""

    def run(
        self, task: Task, shards: Iterator[Shard], reporter: Reporter, meter: Meter
    ) -> Iterator[tuple[Shard, ShardRows]]:
        first = next(shards, None)
        if first is None:  # nothing to do, so nothing is started
            return
        bound = task.threads if task.runtime == "torch" else None
        device = task.device.partition(":")[0]  # every actor sees one GPU, its own
        task = task.model_copy(update={"threads": self.threads or bound or 1, "device": device})
        cluster = cluster_at(self.address)
        crew = cluster.crew(task, self.opener, is_mixed=self.is_mixed)
        try:
            yield from crew.results(itertools.chain([first], shards), reporter, meter)
        except BaseException:  # also where the caller leaves in the middle
            crew.dismiss()
            raise
        cluster.keep(crew)


class Cluster:
    """A cluster, as this process is connected to it: actors are kept for a minute after a task.

    So the next task, of the same fit or of another one in this process, has neither a cluster nor processes
    to start.

    Args:
        address: see `RayExecutor`.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._kept: Crew | None = None
        self._timer: threading.Timer | None = None
        self._one_at_a_time = threading.Lock()

    def crew(self, task: Task, opener: Opener, *, is_mixed: bool) -> Crew:
        """Actors for a task: those of the last one, or new ones.

        Raises:
            ExecutionError: there is no cluster, or it is too small for one actor.
        """
        was_connected, crew = _is_connected(), self._taken()
        ray = connected(self._address, task.width)
        if crew is not None and was_connected and crew.turn_to(task, opener, is_mixed=is_mixed):
            return crew
        return Crew(ray, task, opener, is_mixed)

    def keep(self, crew: Crew) -> None:
        """Keep actors for the next task, for a while."""
        with self._one_at_a_time:
            other, self._kept = self._kept, crew  # the other one of a thread that ran at the same time
            self._timer = threading.Timer(IDLE_S, self.release)
            self._timer.daemon = True
            self._timer.start()
        if other is not None:
            other.dismiss()

    def release(self) -> None:
        """End the actors that wait for a next task."""
        crew = self._taken()
        if crew is not None and _is_connected():  # else Ray would start a cluster to end them
            crew.dismiss()

    def _taken(self) -> Crew | None:
        """The actors of the last task, which are no longer kept."""
        with self._one_at_a_time:
            crew, self._kept = self._kept, None
            if self._timer is not None:
                self._timer.cancel()
        return crew


@cache
def cluster_at(address: str | None) -> Cluster:
    """The cluster at an address, once in each process, as Ray connects it once."""
    return Cluster(address)


def _is_connected() -> bool:
    """Whether this process is connected to a cluster."""
    loaded = sys.modules.get("ray")
    return loaded is not None and bool(loaded.is_initialized())


def connected(address: str | None, width: int) -> Any:
    """The library, connected to a cluster; nothing is reported to Ray's makers, and a token is required.

    Args:
        address: where a cluster is running; None starts one on this machine.
        width: number of values in a row, for the memory of a cluster that is started.

    Raises:
        ExecutionError: there is no cluster at the address, it refuses, or it would accept everybody.
    """
    loaded = sys.modules.get("ray")
    if _is_connected():
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
    room = max(256 << 20, _WAITING_SHARDS * cores * min(_SHARD_BYTES, _SHARD_ROWS * width * 2))
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
