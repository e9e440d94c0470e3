"""How many threads of the processor a training uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode

from regraft.training.tail import Tail

_SINGLE_THREAD_FLOPS = 2e9  # below it a step is faster on one core than with the cores waiting for each other


@contextmanager
def threads_for(tail: Tail, shape: Sequence[int], batch: int) -> Iterator[None]:
    """One thread for steps so small that the cores would mostly wait for each other; a rule, not a race.

    Args:
        tail: to be trained; on another device than the processor nothing changes.
        shape: of what enters it, without the batch.
        batch: images of an optimizer's step.
    """
    before = torch.get_num_threads()
    if next(tail.parameters()).device.type == "cpu":
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            tail.eval()(torch.zeros(1, *shape))
        if 3 * counter.get_total_flops() * batch < _SINGLE_THREAD_FLOPS:
            torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cpu_kernels() -> str:
    """Kernels, and with them bits, are chosen by instruction set and number of threads."""
    return f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
