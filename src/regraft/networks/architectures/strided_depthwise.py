"""A faster backward pass of strided depthwise convolutions on the CPU.

oneDNN (as in torch 2.15) has no fast kernel for the gradient of such a convolution's input in bf16: one such
convolution takes as long as ten other layers of the network together (benchmarks/depthwise.py). A depthwise
convolution of stride 1 over the output's gradient, with zeros between its values and the filter rotated by
180 degrees, computes the same sums with a fast kernel. In fp32, and on GPUs, torch's own code is faster and
is kept.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class StridedDepthwise(torch.autograd.Function):
    """`conv2d` with one filter per channel, without bias or dilation, on input that is already padded."""

    @staticmethod
    def forward(context: Any, images: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
        context.save_for_backward(images, weight)
        context.stride = stride
        return functional.conv2d(images, weight, stride=stride, groups=len(weight))

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> Any:
        images, weight = context.saved_tensors
        stride = context.stride
        by_images = by_weight = None
        if context.needs_input_grad[0]:
            by_images = _input_gradient(gradient, weight, images.shape, stride)
        if context.needs_input_grad[1]:
            _, by_weight, _ = torch.ops.aten.convolution_backward(
                gradient, images, weight, None, [stride, stride], [0, 0], [1, 1], False, [0, 0], len(weight),
                (False, True, False),
            )  # fmt: skip
        return by_images, by_weight, None


def _input_gradient(
    gradient: torch.Tensor, weight: torch.Tensor, shape: torch.Size, stride: int
) -> torch.Tensor:
    count, channels, height, width = shape
    size = weight.shape[-1]
    # With size - 1 zeros on each side, the stride-1 convolution below has an output of the input's size.
    spread = gradient.new_zeros((count, channels, height + size - 1, width + size - 1))
    spread = spread.contiguous(memory_format=torch.channels_last)
    rows, columns = gradient.shape[2], gradient.shape[3]
    start = size - 1
    spread[
        :,
        :,
        start : start + stride * (rows - 1) + 1 : stride,
        start : start + stride * (columns - 1) + 1 : stride,
    ] = gradient
    return functional.conv2d(spread, weight.flip(2, 3), groups=channels)


def quicken(network: nn.Module) -> int:
    """Use the faster backward pass in all strided depthwise convolutions; returns their number.

    Parameters, buffers and their names do not change.
    """
    count = 0
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _is_fit(module):
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]
            count += 1
    return count


def _is_fit(module: nn.Conv2d) -> bool:
    is_depthwise = 1 < module.groups == module.in_channels == module.out_channels
    is_square = module.stride[0] == module.stride[1] > 1 and module.kernel_size[0] == module.kernel_size[1]
    is_plain = module.bias is None and module.dilation == (1, 1) and module.padding_mode == "zeros"
    return is_depthwise and is_square and is_plain and not isinstance(module.padding, str)


def _forward(module: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    weight = module.weight
    if torch.is_autocast_enabled(images.device.type):
        kind = torch.get_autocast_dtype(images.device.type)
        images, weight = images.to(kind), weight.to(kind)
    if images.device.type != "cpu" or images.dtype != torch.bfloat16:  # torch's own code is faster
        return type(module).forward(module, images)
    result: torch.Tensor = StridedDepthwise.apply(_padded(module, images), weight, module.stride[0])
    return result


def _padded(module: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    if type(module).__name__ == "Conv2dSame":
        from timm.layers import pad_same

        padded: torch.Tensor = pad_same(images, list(module.kernel_size), list(module.stride))
        return padded
    vertical, horizontal = (int(side) for side in module.padding)
    return functional.pad(images, (horizontal, horizontal, vertical, vertical))
