"""The processes that train one model together: what they sum, and what the first one tells the others.

All of them call the same methods in the same order. What a process waits for between trainings, or while the
first one prepares something, is a message as JSON text; it waits for days, if need be, but not for a process
that has ended, since its connections then close.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from regraft.errors import GroupError, words_of

if dist.is_available():
    # Default arguments of this module refer to the group that exists when it is imported, and torch's
    # optimizers import it. If that happened after the group was created, `destroy_process_group` would not
    # end the group's threads, and a thread that frees a tensor while the interpreter shuts down aborts the
    # process.
    import torch.distributed.nn.functional

_POLL_S = 0.02


class OverError(Exception):
    """The first process says that no training follows, or that the one that was to begin does not."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the first process has ended with exit code {code}")
        self.code = code


class ProcessGroup:
    """The place of this process among those that train together; without arguments, it is alone.

    Args:
        rank: number of this process; the first one, 0, does everything besides training.
        size: number of processes.
        sharing: number of processes on this machine.
        device: where this process trains.
        threads: number of processor threads that this process may train with; None leaves it as it is.
        workers: number of threads that decode images in this process; None means one for each core.
        messages: the process group of torch for messages; None means torch's own.
        is_ours: whether the group was made for this fit, and ends with it.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        *,
        sharing: int = 1,
        device: torch.device | None = None,
        threads: int | None = None,
        workers: int | None = None,
        messages: Any = None,
        is_ours: bool = True,
    ) -> None:
        self.rank, self.size, self.sharing = rank, size, sharing
        self.threads, self.workers = threads, workers
        self.device = device or torch.device("cpu")
        self.are_waiting = size > 1
        """Whether the others wait, or soon will, for a message of the first process, which knows this."""
        self.messages, self.is_ours = messages, is_ours
        self.explain: Callable[[], str] = str
        """Says which process was lost, as far as this one knows."""

    # Tensors.

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in one message."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with self._connected():
            dist.all_reduce(flat, group=self._path(flat))
        _spread(flat, tensors)

    @torch.no_grad()
    def share_first(self, tensors: Sequence[torch.Tensor]) -> None:
        """Copy the values of the first process to all others, in one message for each type."""
        if self.size == 1:
            return
        alike: dict[tuple[torch.dtype, torch.device], list[torch.Tensor]] = {}
        for tensor in tensors:
            alike.setdefault((tensor.dtype, tensor.device), []).append(tensor)
        for own in alike.values():
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in own])
            if flat.numel():
                with self._connected():
                    dist.broadcast(flat.view(torch.uint8), 0, group=self._path(flat))
                if self.rank:
                    _spread(flat, own)

    def _path(self, tensor: torch.Tensor) -> Any:
        """The process group of torch that a tensor takes: a program's own may be for GPUs alone."""
        return self.messages if tensor.device.type == "cpu" else None

    def smallest(self, number: int) -> int:
        """The smallest of the numbers that the processes have."""
        return min(int.from_bytes(one, "big") for one in self._of_each(number.to_bytes(8, "big")))

    def compare(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Make sure that all processes have the same bits.

        Raises:
            GroupError: they have not; the message names the processes that differ from the first.
        """
        if self.size == 1:
            return
        digest = hashlib.sha256()
        for name, tensor in tensors.items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        first, *others = self._of_each(digest.digest())
        different = [str(rank) for rank, one in enumerate(others, 1) if one != first]
        if different:
            raise GroupError(
                f"the weights of process {', '.join(different)} differ from those of process 0, although all "
                f"of {self.size} began with the same and added the same gradients. Train on machines of one "
                "kind with the same versions of all libraries, or with one process; if they are, the memory "
                "or the network of a machine is at fault"
            )

    def _of_each(self, data: bytes) -> list[bytes]:
        """What each process has, in the order of their numbers; of the same length everywhere."""
        if self.size == 1:
            return [data]
        own = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        every = [torch.empty_like(own) for _ in range(self.size)]
        with self._connected():
            dist.all_gather(every, own, group=self.messages)
        return [one.numpy().tobytes() for one in every]

    # Messages.

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message from the first process to the others, which `hear` it."""
        if self.size == 1:
            return
        data = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
        with self._connected():
            for tensor in (torch.tensor([data.numel()]), data):
                dist.broadcast(tensor, 0, group=self.messages)

    def hear(self, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """The next message of the first process.

        Args:
            meanwhile: called again and again while the process waits.

        Raises:
            OverError: nothing more follows.
            GroupError: the first process has ended without a message.
        """
        length = torch.zeros(1, dtype=torch.int64)
        self._receive(length, meanwhile)
        data = torch.zeros(int(length), dtype=torch.uint8)
        self._receive(data, meanwhile)
        message: dict[str, Any] = json.loads(data.numpy().tobytes())
        if "over" in message:
            raise OverError(int(message["over"]))
        return message

    def _receive(self, tensor: torch.Tensor, meanwhile: Callable[[], None]) -> None:
        with self._connected():
            work = dist.broadcast(tensor, 0, group=self.messages, async_op=True)
            assert work is not None
            while not work.is_completed():  # in Python, so that signals are handled
                meanwhile()
                time.sleep(_POLL_S)
            work.wait()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """A section that the first process enters first; the others follow when it has left.

        Raises:
            OverError: in another process, if the first one ended in the section.
        """
        self.are_waiting = self.size > 1
        if self.rank:
            self.hear()
        yield
        if self.size > 1 and self.rank == 0:
            self.tell({"next": True})
            self.are_waiting = False

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = self.explain() or _words_of_gloo(error)
            raise GroupError(
                f"another of the {self.size} processes that train together was lost ({reason}). Run the same "
                "command again: it resumes from the last checkpoint"
            ) from error


def _words_of_gloo(error: RuntimeError) -> str:
    """What an error of a connection says, without the place in the source code that it begins with."""
    text = words_of(error)
    is_closed = "closed by peer" in text or "reset by peer" in text
    return "it has closed its connection" if is_closed else text


@torch.no_grad()
def _spread(flat: torch.Tensor, tensors: Sequence[torch.Tensor]) -> None:
    """Copy a flat tensor into tensors, one after the other."""
    start = 0
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].reshape(tensor.shape))
        start += tensor.numel()
