"""Several processes that train together (torchrun, or any process group); one is the common case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist

if dist.is_available():
    # Its default arguments take hold of the group that exists at its import, which torch's optimizers cause.
    # Were that after the group was made, `destroy_process_group` would end none of the group's threads, and
    # one that drops a tensor while the interpreter shuts down aborts the process.
    import torch.distributed.nn.functional


def world() -> tuple[int, int]:
    """`(rank, number of processes)` of the process group, if there is one; else `(0, 1)`."""
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
    """Give every process the first one's values."""
    if world()[1] > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)
