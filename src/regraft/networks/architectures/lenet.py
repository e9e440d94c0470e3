"""LeNet-5, for small grey images.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86(11), 1998, section II.B. Deviations: C3 is connected to all of S2's maps
(the paper's table I connects some, to save work), the output layer is linear with softmax (the paper
has radial basis functions), and subsampling is plain averaging without trainable coefficients.
"""

from __future__ import annotations

import torch
from torch import nn


class LeNet5(nn.Module):
    """LeNet-5: `(N, C, 32, 32) float32` to `(N, num_classes)` logits.

    >>> LeNet5(num_classes=5)(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 5])
    """

    def __init__(self, num_classes: int = 10, in_chans: int = 1) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(in_chans, 6, 5)
        self.s2 = nn.AvgPool2d(2)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = nn.AvgPool2d(2)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.flatten = nn.Flatten()
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.s2(torch.tanh(self.c1(x)))
        x = self.s4(torch.tanh(self.c3(x)))
        x = self.flatten(torch.tanh(self.c5(x)))
        logits: torch.Tensor = self.output(torch.tanh(self.f6(x)))
        return logits
