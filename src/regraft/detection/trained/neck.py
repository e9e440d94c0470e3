"""A light feature pyramid: maps of all levels with the same few channels, the coarse added to the fine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from regraft.detection.trained.cells import Shape

_SMOOTH = 0


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
    """A depthwise 3 x 3 convolution, a pointwise one, layer normalisation of each cell, and ReLU.

    Group normalisation divides by the spread over the whole map. Where most objects of a map are of one
    kind, theirs is the spread, and all other cells become small and learn slowly.

    Source: Howard et al. 2017 (separable convolutions); Ba et al. 2016 (layer normalisation), over the
    channels of a cell as in Liu et al. 2022, "A ConvNet for the 2020s".
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.pointwise = Pointwise(width, width, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, one: torch.Tensor) -> torch.Tensor:
        mixed = self.pointwise(self.depthwise(one))
        if torch.compiler.is_exporting():  # OpenVINO 2026.4 normalises wrongly between transpositions
            return functional.relu(channels_normalised(mixed, self.norm))
        return functional.relu(self.norm(mixed.permute(0, 2, 3, 1)), inplace=True).permute(0, 3, 1, 2)


def channels_normalised(maps: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    """Layer normalisation of the channels of maps `(N, C, H, W)`, by operations that every runtime knows."""
    centred = maps - maps.mean(dim=1, keepdim=True)
    spread = (centred.square().mean(dim=1, keepdim=True) + norm.eps).sqrt()
    return centred / spread * norm.weight[:, None, None] + norm.bias[:, None, None]


class Neck(nn.Module):
    """From standardised maps to maps of `width` channels, one for each shape.

    Every level is brought to `width` channels by a pointwise convolution; each is added to the next finer
    one, and smoothed. Levels beyond the network's own are made by pooling.

    Args:
        channels: the number of channels of each of the network's levels, the finest first.
        shapes: the shapes of these levels, and of those to add.
        width: the number of channels of the result.

    Source: Lin et al. 2017, "Feature pyramid networks", with 96 channels and separable convolutions instead
    of 256 channels and full ones.
    """

    def __init__(self, channels: Sequence[int], shapes: Sequence[Shape], width: int) -> None:
        super().__init__()
        self.shapes = tuple(shapes)
        self.laterals = nn.ModuleList([Pointwise(number, width, bias=True) for number in channels])
        self.smoothers = nn.ModuleList(
            [Separable(width) if n >= _SMOOTH else nn.Identity() for n, _ in enumerate(channels)]
        )

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
