"""The small residual networks of the ResNet paper for 32 px images, with and without shortcuts."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional


class CifarResNet(nn.Module):
    """ResNet for small images: `(N, C, 32, 32) float32` to logits `(N, K)`.

    The network has `depth` weighted layers: one convolution, three stages of `(depth - 2) / 6` blocks with
    16, 32 and 64 channels, and the classifier. Shortcuts are identities (option A: channels padded with
    zeros), so that the *plain* network, `shortcuts=False`, has exactly the same parameters and operations.

    Args:
        depth: 6 n + 2: 20, 32, 44, 56 or 110 in the paper.
        shortcuts: whether blocks add their input to their output.
        num_classes: K.
        in_chans: C.
        width: channels of the first stage; an even number.

    Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", arXiv:1512.03385,
    section 4.2 and table 6 (0.27 M parameters at depth 20, 1.7 M at 110).

    >>> sum(p.numel() for p in CifarResNet(20).parameters())
    269722
    """

    def __init__(
        self,
        depth: int,
        *,
        shortcuts: bool = True,
        num_classes: int = 10,
        in_chans: int = 3,
        width: int = 16,
    ) -> None:
        super().__init__()
        assert depth % 6 == 2, depth
        blocks = (depth - 2) // 6
        stem = OrderedDict(conv=_convolution(in_chans, width), norm=nn.BatchNorm2d(width), act=nn.ReLU())
        self.stem = nn.Sequential(stem)
        self.layer1 = _stage(blocks, width, width, shortcuts=shortcuts)
        self.layer2 = _stage(blocks, width, 2 * width, shortcuts=shortcuts)
        self.layer3 = _stage(blocks, 2 * width, 4 * width, shortcuts=shortcuts)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4 * width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        logits: torch.Tensor = self.fc(self.flatten(self.pool(x)))
        return logits


class Block(nn.Module):
    """Two 3 x 3 convolutions; with a shortcut, `relu(x + f(x))`."""

    def __init__(self, inputs: int, outputs: int, *, shortcut: bool) -> None:
        super().__init__()
        self.stride = outputs // inputs
        self.new_channels = outputs - inputs
        self.shortcut = shortcut
        self.conv1 = _convolution(inputs, outputs, self.stride)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = _convolution(outputs, outputs)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.branch(x)
        return functional.relu(y + self.identity(x) if self.shortcut else y)

    def branch(self, x: torch.Tensor) -> torch.Tensor:
        """What the convolutions make of the input."""
        y: torch.Tensor = self.norm2(self.conv2(functional.relu(self.norm1(self.conv1(x)))))
        return y

    def identity(self, x: torch.Tensor) -> torch.Tensor:
        """What a shortcut brings: the input, with the positions and channels of the output."""
        if not self.new_channels:
            return x
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, self.new_channels // 2, self.new_channels // 2))


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


def _stage(blocks: int, inputs: int, outputs: int, *, shortcuts: bool) -> nn.Sequential:
    first = Block(inputs, outputs, shortcut=shortcuts)
    return nn.Sequential(first, *(Block(outputs, outputs, shortcut=shortcuts) for _ in range(blocks - 1)))
