"""The number of images that fit into memory at once."""

from __future__ import annotations

import torch

from regraft.machine.memory import free_memory
from regraft.storage.places import size_in_bytes
from regraft.training.loop.tail import Tail, autocast

_SHARE = 0.5


def micro_batch(
    tail: Tail,
    sample: torch.Tensor,
    *,
    effective_batch: int,
    limit: str | None,
    precision: str,
    sharing: int = 1,
) -> int:
    """Number of images whose forward and backward pass fit into memory; at most the effective batch.

    Args:
        tail: the tail, in training mode.
        sample: `(1, ...)`, the input of the tail for one image.
        effective_batch: images in an optimizer step.
        limit: as in `TrainSettings.memory_limit`.
        precision: precision of the forward pass.
        sharing: number of processes that share this machine's memory, or 1 if each has a device of its own.
    """
    each = max(1, kept_bytes(tail, sample, precision))
    allowed = size_in_bytes(limit) if limit else _SHARE * free_memory(sample.device) / sharing
    # During the backward pass, gradients of activations take memory in addition to the activations.
    fitting = max(1, int(allowed / (1.5 * each)))
    return min(effective_batch, fitting)


def kept_bytes(tail: Tail, sample: torch.Tensor, precision: str) -> int:
    """Bytes that the forward pass of a sample keeps for the backward pass, without parameters."""
    own = {parameter.untyped_storage().data_ptr() for parameter in tail.parameters()}
    seen: dict[int, int] = {}

    def note(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return value

    kept = {name: value.clone() for name, value in tail.statistics().items()}
    mode = tail.training
    tail.eval()  # BatchNorm can't train on one image; the kept tensors are the same
    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        with autocast(sample.device, precision):
            scores = tail(sample)
        del scores
    tail.train(mode)
    tail.restore(kept)
    return sum(seen.values())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the memory of any device is full."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text
        or "out of memory" in text
        or "std::bad_alloc" in text
        or "could not create a memory" in text
    )
