"""Which cells answer for which box, for all pictures of a batch at once.

Targets of a picture are M rows: class number (-1 for padding, -2 for a region that is ignored), then left,
top, right and bottom edge in pixels of the canvas.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from regraft.detection.trained.boxes import areas
from regraft.detection.trained.cells import Cells

PADDING, IGNORED = -1, -2
_REACH = 8.0
"""Half the longer side of the largest box of a level, in strides (Tian et al. 2019, section 3.2)."""


class Assignment(NamedTuple):
    """P pairs of a cell and a box for each picture, most of which may be empty."""

    is_pair: torch.Tensor
    """`(N, P) bool`, whether the cell answers for the box; other pairs have cell 0."""
    cells: torch.Tensor
    """`(N, P) int64`, numbers of cells; no cell answers for two boxes."""
    corners: torch.Tensor
    """`(N, P, 4)`."""
    classes: torch.Tensor
    """`(N, P) int64`; 0 where there is no pair."""
    is_used: torch.Tensor
    """`(N, L) bool`, whether a cell counts; not if its middle is in an ignored region and it has no box."""


def assign(targets: torch.Tensor, cells: Cells, *, radius: int = 1) -> Assignment:
    """Pair each box with the cells around its middle, on the level that suits its size.

    A cell answers for a box if its middle is inside; the cell that contains the middle of the box always
    does. If a cell could answer for several boxes, the smallest gets it.

    Args:
        targets: `(N, M, 5) float32`; M may be 0.
        cells: the cells of all levels.
        radius: 1 for the 3 x 3 cells around the middle.

    Source: Tian et al. 2019 and the authors' later centre sampling, with one level for each box.
    """
    number, count = targets.shape[:2]
    order = torch.where(targets[..., 0] >= 0, areas(targets[..., 1:]), torch.inf).argsort(dim=1, stable=True)
    ranked = targets.gather(1, order[..., None].expand(-1, -1, 5))
    corners, classes = ranked[..., 1:], ranked[..., 0].long()
    near = cells.around(corners, levels_for(corners, cells.level_strides), radius=radius)
    centres = cells.centres[near.clamp_min(0)]
    inside = ((centres > corners[..., None, :2]) & (centres < corners[..., None, 2:])).all(dim=-1)
    inside[..., 0] = True
    can = inside & (near >= 0) & (classes >= 0)[..., None]
    wanted = torch.where(can, near, cells.count).flatten(1)
    rank = torch.arange(count, device=targets.device).repeat_interleave(near.shape[-1]).expand(number, -1)
    owner = torch.full((number, cells.count + 1), count, dtype=torch.int64, device=targets.device)
    owner.scatter_reduce_(1, wanted, rank, "amin")
    is_pair = can.flatten(1) & (owner.gather(1, wanted) == rank)
    taken = owner[:, :-1] < count
    return Assignment(
        is_pair,
        torch.where(is_pair, wanted, 0),
        corners.repeat_interleave(near.shape[-1], dim=1),
        classes.clamp_min(0).repeat_interleave(near.shape[-1], dim=1),
        taken | ~ignored_points(targets, cells.centres),
    )


def levels_for(corners: torch.Tensor, strides: torch.Tensor) -> torch.Tensor:
    """The level on which each box belongs by its longer side, `(...) int64`."""
    half = (corners[..., 2:] - corners[..., :2]).amax(dim=-1) / 2
    return torch.bucketize(half, _REACH * strides[:-1])


def ignored_points(targets: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Whether each of the points `(L, 2)` is inside an ignored region of each picture, `(N, L) bool`."""
    found = torch.zeros(len(targets), len(points), dtype=torch.bool, device=targets.device)
    for column in (targets[..., 0] == IGNORED).any(dim=0).nonzero().flatten().tolist():
        one = targets[:, column, None]
        inside = ((points > one[..., 1:3]) & (points < one[..., 3:])).all(dim=-1)
        found |= inside & (one[..., 0] == IGNORED)
    return found
