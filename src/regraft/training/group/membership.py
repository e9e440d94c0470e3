"""How processes come to train together: a launcher has started them, or the first one starts the others.

On CPUs they talk by gloo, on NVIDIA GPUs by nccl, with gloo for messages. The latter
has not been run on any machine yet.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from regraft.errors import GroupError, RegraftError, SettingsError
from regraft.machine.launchers import Place
from regraft.machine.processor import count_cores
from regraft.progress import Reporter
from regraft.training.group.processes import ProcessGroup

Kind = Literal["cpu", "cuda"]
FOLLOWER = "regraft.training.following"
"""The module that the first process starts others with."""
_STEP_TIMEOUT = timedelta(minutes=30)
_MEETING_TIMEOUT = timedelta(hours=1)
_MESSAGE_TIMEOUT = timedelta(days=7)
"""An extraction may take days, and a process that has ended is noticed by its closed connection."""
_START_S = 300.0
_END_S = 10.0


def kind_of(device: str, sharing: int) -> Kind:
    """The kind of device that processes on this machine train on, one on each GPU.

    Args:
        device: as in `FitSettings.device`.
        sharing: number of the processes on this machine.

    Raises:
        SettingsError: the device is that of one process, or there are fewer GPUs than processes.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise SettingsError(
            f"--device {device} is a single device, but {sharing} processes train together on this machine; "
            "accepted are auto, cpu and cuda (a GPU for each process)"
        )
    gpus = torch.cuda.device_count() if device != "cpu" and torch.cuda.is_available() else 0
    if (device == "cuda" or gpus) and gpus < sharing:
        raise SettingsError(
            f"{sharing} processes are to train together on this machine, which has {gpus} usable GPUs; start "
            f"as many processes as there are GPUs, or add --device cpu"
        )
    return "cuda" if gpus else "cpu"


def threads_each(sharing: int) -> tuple[int, str]:
    """The number of threads of each process that trains on the CPU, and why.

    torchrun sets OMP_NUM_THREADS to 1 where the user has not set it; that is no wish of the user.

    Args:
        sharing: number of the processes on this machine.
    """
    cores = count_cores()
    share, stated = max(1, cores // sharing), os.environ.get("OMP_NUM_THREADS", "")
    is_torchruns = stated == "1" and "TORCHELASTIC_RUN_ID" in os.environ
    if stated.isdecimal() and 0 < int(stated) < share and not is_torchruns:
        return int(stated), f"OMP_NUM_THREADS is {stated}"
    return share, f"{sharing} processes share {cores} {'core' if cores == 1 else 'cores'}"


def described_devices(count: int) -> str:
    """The devices that this many processes on this machine would train on, in words."""
    kind = kind_of("auto" if torch.cuda.is_available() else "cpu", count)
    if kind == "cuda":
        return f"cuda:0 to cuda:{count - 1}, by nccl"
    threads = threads_each(count)[0]
    return f"the processor, {threads} {'thread' if threads == 1 else 'threads'} each, by gloo"


def say_devices(group: ProcessGroup, reporter: Reporter) -> None:
    """Report where the processes of a group train."""
    if group.device.type == "cuda":
        reporter.note(f"{group.size} processes train together, each on a GPU of its own, by nccl")
        return
    threads, reason = threads_each(group.sharing)
    reporter.decided(
        f"{threads} {'thread' if threads == 1 else 'threads'} for each of {group.size} processes that train "
        "together",
        reason,
        "OMP_NUM_THREADS",
    )


def join(place: Place, device: str, *, store: Any = None) -> ProcessGroup:
    """Take the place in a group; waits until all have come. A group that the program has is used.

    Raises:
        RegraftError: the settings don't allow it, or some did not come.
    """
    if not dist.is_available():
        raise SettingsError("this build of torch has no torch.distributed; train with one process")
    kind = kind_of(device, place.local_size)
    if kind == "cuda":
        torch.cuda.set_device(place.local_rank)
    is_ours = not dist.is_initialized()
    try:
        if is_ours:
            if store is None:
                store = next(rendezvous("env://", place.rank, place.size, timeout=_MEETING_TIMEOUT))[0]
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo",
                store=dist.PrefixStore("regraft", store),  # type: ignore[attr-defined]
                rank=place.rank,
                world_size=place.size,
                timeout=_STEP_TIMEOUT,
            )
        messages = dist.new_group(backend="gloo", timeout=_MESSAGE_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise GroupError(
            f"process {place.rank} of {place.size} could not meet the others: "
            f"{' '.join(str(error).split())[:200]}. Start all of them with the same torchrun command; "
            "MASTER_ADDR and MASTER_PORT must lead to the first machine"
        ) from error
    return ProcessGroup(
        place.rank,
        place.size,
        sharing=place.local_size,
        device=torch.device("cuda", place.local_rank) if kind == "cuda" else torch.device("cpu"),
        threads=threads_each(place.local_size)[0] if kind == "cpu" else None,
        workers=max(1, count_cores() // place.local_size),
        messages=messages,
        is_ours=is_ours,
    )


def leave(group: ProcessGroup) -> None:
    """End the connections of this process, so that no other waits for it; a group of the program stays."""
    is_whole = group.is_ours or not group.are_waiting
    with contextlib.suppress(RuntimeError, ValueError):
        dist.destroy_process_group(None if is_whole else group.messages)
    group.messages = None  # as long as it is referred to, its threads live


@contextmanager
def led(group: ProcessGroup) -> Iterator[ProcessGroup]:
    """In the first process: at the end, the others hear that it is over, or lose their connection."""
    code = 0
    try:
        yield group
    except BaseException as error:
        code = exit_code(error)
        raise
    finally:
        if group.are_waiting:
            with contextlib.suppress(RegraftError):
                group.tell({"over": code})
        leave(group)


def exit_code(error: BaseException) -> int:
    """The exit code of the command line for an error."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return 2 if isinstance(error, SettingsError) else 1


@dataclass(frozen=True)
class Followers:
    """The processes that this one has started."""

    children: tuple[subprocess.Popen[bytes], ...]

    def lost(self) -> str:
        """Which of them has ended, in words; a killed one may need a moment to end."""
        for _ in range(20):
            for rank, child in enumerate(self.children, 1):
                if child.poll() is not None:
                    return f"process {rank} {_how_it_ended(child.returncode)}"
            time.sleep(0.05)
        return ""

    def end(self, patience_s: float) -> None:
        """Wait for them to end, as they do when it is over or this process has left; then end them."""
        until = time.monotonic() + patience_s
        for stop in (None, subprocess.Popen.terminate, subprocess.Popen.kill):
            for child in self.children:
                if stop is not None and child.poll() is None:
                    stop(child)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, until - time.monotonic()) if stop is None else 1.0)


def _how_it_ended(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


@contextmanager
def started(count: int, device: str) -> Iterator[ProcessGroup]:
    """Start other processes on this machine, of which this one is the first; they end when this section does.

    Raises:
        RegraftError: the settings don't allow it, or a process can't be started.
    """
    kind = kind_of(device, count)
    store = dist.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=_MESSAGE_TIMEOUT
    )
    followers = Followers(tuple(_start(rank, count, store.port, kind) for rank in range(1, count)))
    patience_s = 0.0
    try:
        _wait_for(followers, store)
        patience_s = _END_S
        group = join(Place(0, count, 0, count), kind, store=store)
        group.explain = followers.lost
        with led(group):
            yield group
    finally:
        followers.end(patience_s)


def _start(rank: int, count: int, port: int, kind: Kind) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own: Ctrl-C comes to this one alone, which tells the others."""
    command = [sys.executable, "-m", FOLLOWER, *map(str, (rank, count, port)), kind]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )


def come(rank: int, count: int, port: int, kind: Kind) -> ProcessGroup:
    """Join the group of the process that has started this one."""
    store = dist.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", port, is_master=False, timeout=timedelta(seconds=_START_S)
    )
    store.set(_here(rank), "1")
    store.set_timeout(_MESSAGE_TIMEOUT)
    return join(Place(rank, count, rank, count), kind, store=store)


def _here(rank: int) -> str:
    return f"here/{rank}"


def _wait_for(followers: Followers, store: Any) -> None:
    """Wait until all followers have imported what they need.

    Raises:
        GroupError: one has ended, or needs too long.
    """
    until = time.monotonic() + _START_S
    names = [_here(rank) for rank in range(1, len(followers.children) + 1)]
    while not store.check(names):
        ended = [child for child in followers.children if child.poll() is not None]
        if ended or time.monotonic() > until:
            how = _how_it_ended(ended[0].returncode) if ended else f"did not start in {_START_S:.0f} s"
            raise GroupError(f"a process that was to train too {how}; what it printed says why")
        time.sleep(0.05)
