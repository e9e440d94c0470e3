"""A light feature pyramid: maps of all levels with the same few channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from regraft.detection.trained.cells import Shape

GROUPS = 8
_LN = True
"""The number of groups of channels that are normalised together."""


class Pointwise(nn.Conv2d):
    """A 1 x 1 convolution that is computed as a product of matrices, which is faster in training.

    In an exported graph it is a convolution, which other runtimes compute faster.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool) -> None:
        super().__init__(inputs, outputs, 1, bias=bias)

    def forward(self, one: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_exporting():
            return super().forward(one)
        cells = functional.linear(one.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return cells.permute(0, 3, 1, 2)


class Separable(nn.Module):
    """A depthwise 3 x 3 convolution, a pointwise one, group normalisation, and ReLU.

    Source: Howard et al. 2017 (separable convolutions); Wu & He 2018 (group normalisation, which does not
    depend on the batch).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.pointwise = Pointwise(width, width, bias=False)
        self.norm = nn.LayerNorm(width) if _LN else nn.GroupNorm(GROUPS, width)

    def forward(self, one: torch.Tensor) -> torch.Tensor:
        if _LN:
            one = self.pointwise(self.depthwise(one)).permute(0, 2, 3, 1)
            return functional.relu(self.norm(one), inplace=True).permute(0, 3, 1, 2)
        return functional.relu(self.norm(self.pointwise(self.depthwise(one))), inplace=True)


class Neck(nn.Module):
    """From standardised maps to maps of `width` channels, one for each shape.

    Every level is brought to `width` channels by a pointwise convolution; each is added to the next finer
    one, and smoothed. Levels beyond the network's own are made by pooling.

    Args:
        channels: the number of channels of each of the network's levels, the finest first.
        shapes: the shapes of these levels, and of those to add.
        width: the number of channels of the result, a multiple of 8.

    Source: Lin et al. 2017, "Feature pyramid networks", with 96 channels and separable convolutions instead
    of 256 channels and full ones.
    """

    def __init__(self, channels: Sequence[int], shapes: Sequence[Shape], width: int) -> None:
        super().__init__()
        self.shapes = tuple(shapes)
        self.laterals = nn.ModuleList([Pointwise(number, width, bias=True) for number in channels])
        self.smoothers = nn.ModuleList([Separable(width) for _ in channels])
        for lateral in self.laterals:
            assert isinstance(lateral, Pointwise)
            assert lateral.bias is not None
            nn.init.zeros_(lateral.bias)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        lateral = [layer(one) for layer, one in zip(self.laterals, maps, strict=True)]
        for number in range(len(lateral) - 1, 0, -1):
            finer = self.shapes[number - 1]
            above = functional.interpolate(lateral[number], (finer.height, finer.width), mode="nearest")
            lateral[number - 1] = lateral[number - 1] + above
        found = [layer(one) for layer, one in zip(self.smoothers, lateral, strict=True)]
        for _ in self.shapes[len(found) :]:
            found.append(functional.max_pool2d(found[-1], 2, ceil_mode=True))
        return found
