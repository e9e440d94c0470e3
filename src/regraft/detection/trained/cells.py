"""The cells of all levels in one order: where each looks, and on which level a box belongs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from regraft.records import MapLevel

_COARSEST = 64
"""Levels are added by pooling until one has at least this stride."""


@dataclass(frozen=True)
class Shape:
    """The shape of one level."""

    height: int
    width: int
    stride: int


def shapes_of(levels: Sequence[MapLevel]) -> tuple[Shape, ...]:
    """The shapes of the network's levels and of those that are added by pooling, the finest first.

    >>> fine = MapLevel(stage="s", stride=16, channels=8, height=24, width=32, start=0, stop=6144)
    >>> [(shape.height, shape.width, shape.stride) for shape in shapes_of([fine])]
    [(24, 32, 16), (12, 16, 32), (6, 8, 64)]
    """
    shapes = [Shape(level.height, level.width, level.stride) for level in levels]
    while shapes[-1].stride < _COARSEST and min(shapes[-1].height, shapes[-1].width) > 1:
        last = shapes[-1]
        shapes.append(Shape(-(-last.height // 2), -(-last.width // 2), 2 * last.stride))
    return tuple(shapes)


class Cells(nn.Module):
    """All L cells of P levels: level by level, row by row. Coordinates are pixels of the canvas."""

    centres: torch.Tensor
    """`(L, 2) float32`, x and y of the middle of each cell."""
    strides: torch.Tensor
    """`(L,) float32`."""
    level_strides: torch.Tensor
    """`(P,) float32`."""
    level_sizes: torch.Tensor
    """`(P, 2) int64`, width and height in cells."""
    level_starts: torch.Tensor
    """`(P,) int64`, the number of the first cell of each level."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__()
        self.shapes = tuple(shapes)
        counts = [shape.height * shape.width for shape in shapes]
        self.count = sum(counts)
        centres = torch.cat([_centres(shape) for shape in shapes])
        strides = torch.tensor([shape.stride for shape in shapes], dtype=torch.float32)
        starts = torch.tensor([sum(counts[:number]) for number in range(len(counts))])
        sizes = torch.tensor([[shape.width, shape.height] for shape in shapes])
        for name, value in (
            ("centres", centres),
            ("strides", strides.repeat_interleave(torch.tensor(counts))),
            ("level_strides", strides),
            ("level_sizes", sizes),
            ("level_starts", starts),
        ):
            self.register_buffer(name, value, persistent=False)

    def together(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps `(N, C, H, W)` of all levels as `(N, L, C)`, in the order of the cells."""
        return torch.cat([one.permute(0, 2, 3, 1).flatten(1, 2) for one in maps], dim=1)

    def around(self, corners: torch.Tensor, level: torch.Tensor, *, radius: int) -> torch.Tensor:
        """The cells around the middle of boxes, on the given levels.

        Args:
            corners: boxes, `(..., 4)`; those whose middle is off the canvas get the nearest cells.
            level: the level of each box, `(...) int64`.
            radius: 1 for 3 x 3 cells.

        Returns:
            Numbers of cells, `(..., (2 radius + 1)²) int64`; -1 for those off the map. The first is the cell
            that contains the middle.
        """
        stride, size, start = self.level_strides[level], self.level_sizes[level], self.level_starts[level]
        middle = (corners[..., :2] + corners[..., 2:]) / 2
        cell = (middle / stride[..., None]).floor().long()
        cell = torch.minimum(cell.clamp_min(0), size - 1)
        place = cell[..., None, :] + _steps(radius, cell.device)
        is_inside = ((place >= 0) & (place < size[..., None, :])).all(dim=-1)
        number = start[..., None] + place[..., 1] * size[..., None, 0] + place[..., 0]
        return torch.where(is_inside, number, -1)


def _centres(shape: Shape) -> torch.Tensor:
    rows, columns = torch.arange(shape.height) + 0.5, torch.arange(shape.width) + 0.5
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2) * shape.stride


def _steps(radius: int, device: torch.device) -> torch.Tensor:
    """Steps `((2 radius + 1)², 2)` from a cell to those around it, the cell itself first."""
    side = range(-radius, radius + 1)
    steps = sorted(((x, y) for y in side for x in side), key=lambda step: abs(step[0]) + abs(step[1]))
    return torch.tensor(steps, device=device)
