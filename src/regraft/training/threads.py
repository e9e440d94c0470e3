"""The number of processor threads that a training uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode

from regraft.training.loop.tail import Tail

_SINGLE_THREAD_FLOPS = 2e9  # below this, one core is faster than several that wait for each other


@contextmanager
def threads_for(tail: Tail, shape: Sequence[int], batch: int, *, most: int | None = None) -> Iterator[None]:
    """Use one thread for steps so small that several cores would mostly wait for each other.

    Args:
        tail: the tail to train; on other devices than the CPU nothing changes.
        shape: shape of its input, without the batch.
        batch: images of an optimizer step.
        most: number of threads for larger steps; None leaves it as it is.
    """
    before = torch.get_num_threads()
    if next(tail.parameters()).device.type == "cpu":
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            tail.eval()(torch.zeros(1, *shape))
        if 3 * counter.get_total_flops() * batch < _SINGLE_THREAD_FLOPS:
            torch.set_num_threads(1)
        elif most is not None:
            torch.set_num_threads(most)
    try:
        yield
    finally:
        torch.set_num_threads(before)
