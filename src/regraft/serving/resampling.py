"""The centre crop and its resampling as tensor operations, equal to the image loader's, for export.

Pillow resamples 8-bit images in two passes, with weights of 22 binary digits and rounding after each pass.
Two matrix products in double precision, where the same arithmetic is exact, give the same pixels. The
horizontal pass comes first, unless the height shrinks by more than twice as many pixels as the width
(Pillow 13, found by trying sizes; python-pillow/Pillow#9549).
"""

from __future__ import annotations

import torch
from torch import nn

from regraft.records import InputSpec, Interpolation

_SUPPORT = {"nearest": 0.5, "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
_DIGITS = float(1 << 22)
_GREY = (19595, 38470, 7471)  # of 65536: ITU-R 601-2 luma, as in Pillow's convert("L")


class CentreCrop(nn.Module):
    """A module from decoded pixels of any size to a network's input.

    Input `(N, H, W, C) uint8`, output `(N, size_px, size_px, C) uint8`; a grey network takes RGB images.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.size, self.share, self.rule = spec.size_px, spec.crop_share, spec.interpolation
        self.is_grey = spec.channels == 1

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        height = torch.scalar_tensor(images.shape[1], dtype=torch.float64)
        width = torch.scalar_tensor(images.shape[2], dtype=torch.float64)
        if self.is_grey:
            red, green, blue = (images[..., band].to(torch.int64) for band in range(3))
            luma = _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue + 32768
            images = torch.div(luma, 65536, rounding_mode="floor")[..., None]
        side = torch.minimum(height, width) * self.share
        across = _weights(images.shape[2], (width - side) / 2, side, self.size, self.rule)
        down = _weights(images.shape[1], (height - side) / 2, side, self.size, self.rule)
        pixels = images.permute(0, 3, 1, 2).to(torch.float64)
        usual = _rounded(down @ _rounded(pixels @ across.T))
        tall = _rounded(_rounded(down @ pixels) @ across.T)
        is_tall = (height > self.size) & (height - self.size > 2 * (width - self.size))
        return torch.where(is_tall, tall, usual).permute(0, 2, 3, 1).to(torch.uint8)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    return torch.clamp(torch.floor(values + 0.5), 0, 255)


def _weights(
    length: int, start: torch.Tensor, side: torch.Tensor, size: int, rule: Interpolation
) -> torch.Tensor:
    """`(size, length) float64`: the weight of each input pixel for each output pixel."""
    scale = side / size
    centre = (start + (torch.arange(size, dtype=torch.float64) + 0.5) * scale)[:, None]
    place = torch.arange(length, dtype=torch.float64)[None]
    if rule == "nearest":
        return (place == torch.floor(centre)).to(torch.float64)
    stretch = torch.clamp(scale, min=1.0)
    support = _SUPPORT[rule] * stretch
    first = torch.clamp(torch.floor(centre - support + 0.5), min=0)
    last = torch.floor(centre + support + 0.5)
    raw = _kernel((place - centre + 0.5) / stretch, rule)
    raw = torch.where((place >= first) & (place < last), raw, torch.zeros_like(raw))
    share = raw / raw.sum(dim=1, keepdim=True) * _DIGITS
    whole = torch.where(share < 0, -torch.floor(0.5 - share), torch.floor(share + 0.5))
    return whole / _DIGITS


def _kernel(x: torch.Tensor, rule: Interpolation) -> torch.Tensor:
    distance = x.abs()
    nothing = torch.zeros_like(distance)
    if rule == "bilinear":
        return torch.clamp(1 - distance, min=0)
    if rule == "bicubic":  # Keys 1981 with a = -0.5
        near = (1.5 * distance - 2.5) * distance * distance + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        return torch.where(distance < 1, near, torch.where(distance < 2, far, nothing))
    angle = torch.pi * torch.where(distance == 0, torch.ones_like(distance), distance)
    wave = torch.sin(angle) / angle * torch.sin(angle / 3) / (angle / 3)
    return torch.where(distance == 0, torch.ones_like(distance), torch.where(distance < 3, wave, nothing))
