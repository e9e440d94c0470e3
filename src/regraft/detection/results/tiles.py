"""Large pictures in overlapping tiles: cut, and what was found in them put together again.

Source: Akyon, Altinuc and Temizel 2022, Slicing Aided Hyper Inference. What is different: a box that a tile's
border cuts is dropped only where another tile shows more of the same object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.found import Found
from regraft.detection.maps.suppression import kept
from regraft.errors import SettingsError

# Chosen with 4,886 boxes of blood cells in 3 x 2 tiles and the whole picture, edges off by 2 pixels (standard
# deviation): 2 boxes are too many and 12 missing, with 0.01, 2 pixels and 0.75 it is 206 and 11.
_TOUCH_SHARE, _TOUCH_PX = 0.03, 4.0
"""A box ends at a border if it is as near as this share of the tile's side, or as four pixels."""
_MOSTLY = 0.6
_SAME_SIZE = 0.9
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in whole pixels of the upright picture."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column to the right of the tile."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row below the tile."""
        return self.top + self.height


def tiles(
    width: int, height: int, *, columns: int, rows: int, overlap_share: float = 0.2
) -> tuple[Tile, ...]:
    """Tiles of one size that cover a picture, row by row.

    Args:
        width: width of the upright picture in pixels.
        height: its height.
        columns: the number of tiles next to each other.
        rows: the number of tiles above each other.
        overlap_share: the least share of a tile's side that neighbours have in common, from 0 to 0.9. An
            object that is smaller than the overlap is whole in at least one tile.

    Raises:
        SettingsError: a number is out of range.

    >>> [(tile.left, tile.width) for tile in tiles(100, 50, columns=2, rows=1, overlap_share=0.2)]
    [(0, 56), (44, 56)]
    """
    if not 0 <= overlap_share <= 0.9:
        raise SettingsError(f"an overlap of {overlap_share:g} is outside of 0 to 0.9")
    for count, side, what in ((columns, width, "columns"), (rows, height, "rows")):
        if not 1 <= count <= side:
            raise SettingsError(
                f"{count} {what} of tiles are outside of 1 to {side}, the pixels of the picture's side"
            )
    across, down = _spans(width, columns, overlap_share), _spans(height, rows, overlap_share)
    return tuple(Tile(left, top, wide, high) for top, high in down for left, wide in across)


def _spans(side: int, count: int, overlap: float) -> list[tuple[int, int]]:
    """Start and length of each tile along one side; starts are whole pixels, so tiles may overlap more."""
    length = math.ceil(side / (count - (count - 1) * overlap) - 1e-9)
    gaps = max(1, count - 1)
    while length < side and -((length - side) // gaps) > length * (1 - overlap) + 1e-9:
        length += 1
    return [(place * (side - length) // gaps, length) for place in range(count)]


def merged(found_in: Sequence[tuple[Tile, Found]], *, iou: float = 0.5, most: int | None = None) -> Found:
    """What was found in tiles, in pixels of the whole picture, each object once.

    1. A box that ends at an inner border of its tile is a piece of an object, as far as the tile can know. It
       vanishes if at least three fifths of it are inside a larger box of its class from another tile, unless
       the two are alike: at most a tenth larger, and with an overlap above `iou`.
    2. Of boxes of a class that overlap with each other, the most certain one is kept (`suppression.kept`).

    So an object that no tile shows whole may be there in several pieces. Where objects are that large, give
    the whole picture as one more tile: it has no inner border, and the pieces vanish in its boxes.

    Args:
        found_in: each tile with what was found in it, in pixels of the tile. Together the tiles are taken to
            cover the picture: borders that are furthest out are no inner ones.
        iou: the largest intersection over union of two boxes of a class that are both kept.
        most: the largest number of boxes that is kept; None for no limit.
    """
    if not found_in:
        return Found.of(np.zeros((0, 4)), [], [])
    corners = np.concatenate([
        found.corners + np.array([tile.left, tile.top] * 2, dtype=np.float64) for tile, found in found_in
    ])  # fmt: skip
    classes = np.concatenate([found.classes for _, found in found_in])
    scores = np.concatenate([found.scores for _, found in found_in])
    sources = np.repeat(np.arange(len(found_in)), [len(found) for _, found in found_in])
    is_piece = np.concatenate(_pieces(found_in))
    stays = ~_inside_others(corners, classes, sources, is_piece, iou)
    corners, classes, scores = corners[stays], classes[stays], scores[stays]
    order = kept(corners, classes, scores, iou=iou, most=most)
    return Found(corners[order], classes[order], scores[order])


def _pieces(found_in: Sequence[tuple[Tile, Found]]) -> list[npt.NDArray[np.bool_]]:
    """For each tile, which of its boxes end at an inner border."""
    all_tiles = [tile for tile, _ in found_in]
    ends = (
        min(tile.left for tile in all_tiles),
        min(tile.top for tile in all_tiles),
        max(tile.right for tile in all_tiles),
        max(tile.bottom for tile in all_tiles),
    )
    pieces = []
    for tile, found in found_in:
        frame = (tile.left, tile.top, tile.right, tile.bottom)
        borders = np.array([0, 0, tile.width, tile.height], dtype=np.float64)
        near = np.maximum(_TOUCH_PX, _TOUCH_SHARE * np.array([tile.width, tile.height] * 2))
        is_inner = np.array([one != end for one, end in zip(frame, ends, strict=True)])
        pieces.append(((np.abs(found.corners - borders) <= near) & is_inner).any(axis=1))
    return pieces


def _inside_others(
    corners: _Floats,
    classes: npt.NDArray[np.int64],
    sources: npt.NDArray[np.int64],
    is_piece: npt.NDArray[np.bool_],
    iou: float,
) -> npt.NDArray[np.bool_]:
    """Which pieces are mostly inside a larger box of their class, from another tile, that stays itself."""
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    vanishes = np.zeros(len(corners), dtype=bool)
    # From the largest piece to the smallest, so that a box in which others vanish is certain to stay.
    for place in sorted(np.flatnonzero(is_piece).tolist(), key=lambda one: (-areas[one], one)):
        is_larger = (areas > areas[place]) | ((areas == areas[place]) & (np.arange(len(areas)) < place))
        others = is_larger & (classes == classes[place]) & (sources != sources[place]) & ~vanishes
        low = np.maximum(corners[others, :2], corners[place, :2])
        high = np.minimum(corners[others, 2:], corners[place, 2:])
        shared = np.maximum(high - low, 0.0).prod(axis=1)
        together = areas[others] + areas[place] - shared
        is_alike = (areas[place] >= _SAME_SIZE * areas[others]) & (shared > iou * together)
        vanishes[place] = bool(((shared >= _MOSTLY * areas[place]) & ~is_alike).any())
    return vanishes
