"""AlexNet as published, and ZFNet, which changed its first two layers after visualising them."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


class _EightLayers(nn.Module):
    """A network of five convolutions and three fully connected layers."""

    def __init__(self, convolutions: OrderedDict[str, nn.Module], num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(convolutions)
        self.fc6 = _full(256 * 6 * 6, nn.AdaptiveAvgPool2d(6), nn.Flatten())
        self.fc7 = _full(4096)
        self.output = nn.Linear(4096, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(self.fc7(self.fc6(self.features(x))))
        return logits


class AlexNet2012(_EightLayers):
    """AlexNet with its two columns and response normalisation: `(N, C, 224, 224) float32` to logits `(N, K)`.

    The two columns that the authors trained on two GPUs are convolutions of two groups. torchvision's
    `alexnet` is the later one-column version (Krizhevsky 2014, arXiv:1404.5997), without normalisation.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", NeurIPS 2012, section 3 and figure 2. Deviations: images of 224 px padded by 2, as the
    figure's 55 x 55 maps need; other sizes are averaged to the 6 x 6 map of the first fully connected layer.

    >>> sum(p.numel() for p in AlexNet2012().parameters())
    60965224
    """

    def __init__(self, num_classes: int = 1000, in_chans: int = 3) -> None:
        super().__init__(
            OrderedDict(
                conv1=_layer(nn.Conv2d(in_chans, 96, 11, stride=4, padding=2), _response_norm(), _pool()),
                conv2=_layer(nn.Conv2d(96, 256, 5, padding=2, groups=2), _response_norm(), _pool()),
                conv3=_layer(nn.Conv2d(256, 384, 3, padding=1)),
                conv4=_layer(nn.Conv2d(384, 384, 3, padding=1, groups=2)),
                conv5=_layer(nn.Conv2d(384, 256, 3, padding=1, groups=2), _pool()),
            ),
            num_classes,
        )


class ZFNet(_EightLayers):
    """ZFNet: `(N, C, 224, 224) float32` to logits `(N, K)`.

    Source: Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014
    (arXiv:1311.2901), figure 3: AlexNet with 7 x 7 filters and stride 2 in the first layer, stride 2 in the
    second, and no columns. Deviations: "contrast normalisation across feature maps" is AlexNet's response
    normalisation; pooling rounds up, which gives the figure's 55, 13 and 6 positions.

    >>> sum(p.numel() for p in ZFNet().parameters())
    62357608
    """

    def __init__(self, num_classes: int = 1000, in_chans: int = 3) -> None:
        super().__init__(
            OrderedDict(
                conv1=_layer(nn.Conv2d(in_chans, 96, 7, stride=2, padding=1), _pool(), _response_norm()),
                conv2=_layer(nn.Conv2d(96, 256, 5, stride=2), _pool(), _response_norm()),
                conv3=_layer(nn.Conv2d(256, 384, 3, padding=1)),
                conv4=_layer(nn.Conv2d(384, 384, 3, padding=1)),
                conv5=_layer(nn.Conv2d(384, 256, 3, padding=1), _pool()),
            ),
            num_classes,
        )


def _layer(convolution: nn.Conv2d, *after: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, nn.ReLU(), *after)


def _pool() -> nn.MaxPool2d:
    """Overlapping pooling (section 3.4)."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _response_norm() -> nn.LocalResponseNorm:
    """`a / (2 + 1e-4 * sum of squares over 5 channels) ** 0.75` (section 3.3); torch divides alpha by 5."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def _full(inputs: int, *before: nn.Module) -> nn.Sequential:
    return nn.Sequential(*before, nn.Linear(inputs, 4096), nn.ReLU(), nn.Dropout(0.5))
