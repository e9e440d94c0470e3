"""Parameters, work, depth and receptive fields of a network, counted on the meta device.

Nothing is computed: operations are observed as PyTorch dispatches them, on tensors without values. So any
network can be counted at any input size in about a second, regardless of its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary


@dataclass(frozen=True)
class Trace:
    """The path from the image to one value: its depth and receptive field."""

    depth: int = 0
    """Number of weighted layers (convolutions and matrix products) on the longest path."""
    field_px: float = 1
    """Side of the square of pixels that one position depends on; infinite after attention.

    Only windows of convolutions and poolings count; gates that average over the whole map (squeeze and
    excitation) are ignored, as is usual (Araujo et al., "Computing Receptive Fields", Distill 2019).
    """
    jump_px: float = 1
    """Distance of neighbouring positions in pixels."""
    is_gate: bool = False
    """Whether the value is averaged over all positions, and so has no position."""


@dataclass(frozen=True)
class Count:
    """The counts of one part of a network, for one image."""

    shape: tuple[int, ...]
    """Shape of its output, without the batch: `(C, H, W)`, `(L, C)` or `(C,)`."""
    parameters: int
    multiply_adds: int
    """Half of the operations that `torch.utils.flop_counter` counts."""
    trace: Trace


def count_parts(parts: list[nn.Module], image_shape: tuple[int, ...]) -> list[Count]:
    """Count each part of a network in order, for an image of a given shape.

    Args:
        parts: modules on the meta device; the input of each is the output of the one before.
        image_shape: `(C, H, W)`.

    >>> from torch import nn
    >>> with torch.device("meta"):
    ...     convolutions = [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)]
    >>> [count.trace.field_px for count in count_parts(convolutions, (3, 32, 32))]
    [3, 5]
    """
    watch = _Watch()
    value = torch.zeros(1, *image_shape, device="meta")
    watch.traces[value] = Trace()
    counts, seen = [], set[int]()
    for part in parts:
        new = [parameter for parameter in part.parameters() if id(parameter) not in seen]
        seen.update(id(parameter) for parameter in new)
        watch.weights.update({parameter: True for parameter in part.parameters() if parameter.ndim > 1})
        with torch.no_grad(), FlopCounterMode(display=False) as flops, watch:
            value = part(value)
        counts.append(
            Count(
                tuple(value.shape[1:]),
                sum(parameter.numel() for parameter in new),
                flops.get_total_flops() // 2,
                watch.traces.get(value, Trace()),
            )
        )
    return counts


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes the traces of every operation's outputs from those of its inputs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.traces: Any = WeakIdKeyDictionary()
        self.weights: Any = WeakIdKeyDictionary()  # parameters, and views and casts of them

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        traces = [self.traces[tensor] for tensor in tensors if tensor in self.traces]
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if not traces:
            if any(tensor in self.weights for tensor in tensors):
                self.weights.update(dict.fromkeys(outputs, True))
            return result
        trace = _joined(traces)
        operation = str(func).split(".")[1]
        if operation in _RULES:
            trace = _RULES[operation](trace, args)
        elif operation in _PRODUCTS:
            has_weight = any(tensor in self.weights for tensor in tensors)
            trace = _deeper(trace) if has_weight else _everywhere(trace, len(traces))
        for output in outputs:
            self.traces[output] = trace
        return result


def _joined(traces: list[Trace]) -> Trace:
    """The trace of a value with several inputs: the greatest depth, and the widest field of no gate."""
    depth = max(trace.depth for trace in traces)
    places = [trace for trace in traces if not trace.is_gate] or traces
    widest = max(places, key=lambda trace: trace.field_px)
    return Trace(depth, widest.field_px, widest.jump_px, widest.is_gate)


def _deeper(trace: Trace) -> Trace:
    return Trace(trace.depth + 1, trace.field_px, trace.jump_px, trace.is_gate)


def _everywhere(trace: Trace, values: int) -> Trace:
    """A product of two values that both depend on the image is attention: its field is infinite."""
    return Trace(trace.depth, math.inf, trace.jump_px) if values > 1 else trace


def _window(trace: Trace, kernel: int, stride: int, dilation: int) -> Trace:
    field = trace.field_px + (kernel - 1) * dilation * trace.jump_px
    return Trace(trace.depth, field, trace.jump_px * stride, trace.is_gate)


def _convolved(trace: Trace, args: tuple[Any, ...]) -> Trace:
    weight, stride, dilation, transposed = args[1], args[3], args[5], args[6]
    trace = _deeper(trace)
    return trace if transposed else _window(trace, weight.shape[-1], stride[-1], dilation[-1])


def _pooled(trace: Trace, args: tuple[Any, ...]) -> Trace:
    stride = args[2] if len(args) > 2 and args[2] else args[1]
    dilation = args[4][-1] if len(args) > 4 and isinstance(args[4], (list, tuple)) else 1
    return _window(trace, args[1][-1], stride[-1], dilation)


def _averaged(trace: Trace, args: tuple[Any, ...]) -> Trace:
    """A mean over positions is a gate; a mean over channels (a normalisation) is not."""
    dims = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else []
    rank = args[0].ndim
    over = {dim % rank for dim in dims}
    return Trace(trace.depth, trace.field_px, trace.jump_px, is_gate=rank == 4 and {2, 3} <= over)


def _resampled(trace: Trace, args: tuple[Any, ...]) -> Trace:
    side_in, side_out = args[0].shape[-1], args[1][-1]
    if side_out == 1:
        return Trace(trace.depth, trace.field_px, trace.jump_px, is_gate=True)
    return _window(trace, math.ceil(side_in / side_out), max(1, side_in // side_out), 1)


def _attended(trace: Trace, _: tuple[Any, ...]) -> Trace:
    return Trace(trace.depth, math.inf, trace.jump_px)


_PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm", "linear", "matmul"})
_RULES: dict[str, Callable[[Trace, tuple[Any, ...]], Trace]] = {
    "convolution": _convolved,
    "max_pool2d_with_indices": _pooled,
    "avg_pool2d": _pooled,
    "_adaptive_avg_pool2d": _resampled,
    "mean": _averaged,
    "_scaled_dot_product_flash_attention": _attended,
    "_scaled_dot_product_flash_attention_for_cpu": _attended,
    "_scaled_dot_product_efficient_attention": _attended,
    "scaled_dot_product_attention": _attended,
}
