"""Training in several processes (torchrun, or any process group); usually there is only one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist

if dist.is_available():
    # Default arguments of this module refer to the group that exists when it is imported, and torch's
    # optimizers import it. If that happened after the group was created, `destroy_process_group` would not
    # end the group's threads, and a thread that frees a tensor while the interpreter shuts down aborts the
    # process.
    import torch.distributed.nn.functional


def world() -> tuple[int, int]:
    """`(rank, number of processes)` of the process group; `(0, 1)` if there is none."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def add_up(tensors: Sequence[torch.Tensor]) -> None:
    """Replace each tensor by its sum over the processes, in one message."""
    if world()[1] == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    start = 0
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].reshape(tensor.shape))
        start += tensor.numel()


def share_first(tensors: Iterable[torch.Tensor]) -> None:
    """Copy the values of the first process to all others."""
    if world()[1] > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)
