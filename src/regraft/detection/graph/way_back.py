"""The way from the canvas back to the picture, for a picture whose size is known only when the graph runs."""

from __future__ import annotations

import torch
from torch import nn


class WayBack(nn.Module):
    """Boxes of the canvas in the picture, as `Placement.back`.

    Args:
        canvas: width and height of the canvas in pixels.
    """

    edges: torch.Tensor

    def __init__(self, canvas: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("edges", torch.tensor(canvas, dtype=torch.float64))

    def covered(self, picture: torch.Tensor) -> torch.Tensor:
        """Width and height `(2,) float64` of what a picture covers of the canvas, in whole pixels.

        Args:
            picture: width and height of the upright picture `(2,)`.

        >>> WayBack((512, 384)).covered(torch.tensor([1.0, 4000.0])).tolist()
        [1.0, 384.0]
        """
        size = picture.double()
        whole = (size * (self.edges / size).amin(dim=0)).round()
        return torch.minimum(whole.clamp_min(1.0), self.edges)

    def forward(self, corners: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """Boxes `(N, 4)` of the canvas in the picture, clipped to it, float64 in pixels of the picture."""
        size = picture.double()
        scales = self.covered(picture) / size
        wide = corners.double() / torch.cat([scales, scales])
        return torch.minimum(wide.clamp_min(0.0), torch.cat([size, size]))


def is_real(corners: torch.Tensor) -> torch.Tensor:
    """Whether boxes `(N, 4)` are at least one pixel wide and high, `(N,) bool`."""
    return (corners[:, 2:] - corners[:, :2] >= 1).all(dim=1)
