"""The pixels of a page: pictures at a size and quality that fit, and crops around boxes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from regraft.detection.detectors.run_tables import BoxRow, PictureRow, SuspectRow, corners_of
from regraft.explanation.overlays import data_uri
from regraft.explanation.pictures import Pictures
from regraft.reports.detection.cases import box_path

LARGEST_PX = 560
_CROP_PX = 192
_AROUND = 2.2  # side of a crop in sides of its box
_SMALLEST = 40.0  # side of a crop in pixels of the picture
_NEIGHBOURS = 60


class Prints:
    """Pictures of a run, each read once and kept at the largest size that a page needs."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._kept: dict[str, Image.Image | None] = {}

    def uri(self, path: str, side_px: int, quality: int) -> str:
        """A picture as a JPEG in a `data:` address, its longer side at most `side_px`, or nothing."""
        if path not in self._kept:
            image = self._pictures.upright(path, min_side_px=LARGEST_PX)
            if image is not None:
                image = image.copy()
                image.thumbnail((LARGEST_PX, LARGEST_PX), Image.Resampling.BICUBIC)
            self._kept[path] = image
        image = self._kept[path]
        return "" if image is None else data_uri(image, side_px=side_px, quality=quality)


@dataclass(frozen=True)
class Crop:
    """A square part of a picture around a box; edges are pixels of the picture."""

    box: BoxRow | SuspectRow
    x: float
    y: float
    side: float
    """Side of the square."""
    path: str
    """The box as the data of an SVG path."""
    others: str
    """The annotated boxes around it, likewise."""
    image: Image.Image | None
    """None if the picture can't be read."""
    left: float
    """Edges of the part of the picture that the image shows."""
    top: float
    width: float
    height: float

    def uri(self, quality: int) -> str:
        """The image as a JPEG in a `data:` address; empty if the picture can't be read."""
        return "" if self.image is None else data_uri(self.image, side_px=_CROP_PX, quality=quality)


def crops(
    wanted: Sequence[BoxRow | SuspectRow],
    rows: Mapping[str, PictureRow],
    boxes: Iterable[BoxRow],
    pictures: Pictures,
) -> list[Crop]:
    """A crop around each box whose picture is known, in their order.

    Args:
        wanted: the boxes to show: annotated ones, or suspects.
        rows: the pictures of the run by their paths.
        boxes: the true boxes of the run.
        pictures: reads pictures.
    """
    near: dict[str, list[BoxRow]] = defaultdict(list)
    paths = {one.path for one in wanted}
    for box in boxes:
        if box.path in paths:
            near[box.path].append(box)
    read: dict[str, Image.Image | None] = {}
    found = []
    for one in wanted:
        row = rows.get(one.path)
        if row is None:
            continue
        if one.path not in read:
            least = min(_side(other) for other in wanted if other.path == one.path)
            share = min(1.0, _CROP_PX / least)
            read[one.path] = pictures.upright(
                one.path, min_side_px=max(1, math.ceil(share * min(row.width, row.height)))
            )
        found.append(_crop(one, row, near[one.path], read[one.path]))
    return found


def _side(box: BoxRow | SuspectRow) -> float:
    longer = max(box.x_max - box.x_min, box.y_max - box.y_min)
    return max(_AROUND * longer, _SMALLEST)


def _crop(
    box: BoxRow | SuspectRow, row: PictureRow, boxes: Sequence[BoxRow], image: Image.Image | None
) -> Crop:
    side = _side(box)
    x = _start((box.x_min + box.x_max) / 2, side, row.width)
    y = _start((box.y_min + box.y_max) / 2, side, row.height)
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + side, row.width), min(y + side, row.height)
    part = None
    if image is not None and right > left and bottom > top:
        across, down = image.width / row.width, image.height / row.height
        edges = (left * across, top * down, right * across, bottom * down)
        size = [
            max(1, min(_CROP_PX, round(_CROP_PX * length / side))) for length in (right - left, bottom - top)
        ]
        part = image.resize((size[0], size[1]), Image.Resampling.BICUBIC, box=edges, reducing_gap=2.0)
    around = [one for one in boxes if one.corners != box.corners and _touches(one, x, y, side)]
    own, others = (box_path(corners_of(rows), 1) for rows in ([box], around[:_NEIGHBOURS]))
    return Crop(
        box, x, y, side, own, others,
        part, left, top, right - left, bottom - top,
    )  # fmt: skip


def _start(middle: float, side: float, length: int) -> float:
    """Where a crop begins: around the middle, but inside of the picture as far as it fits."""
    if side >= length:
        return (length - side) / 2
    return min(max(middle - side / 2, 0.0), length - side)


def _touches(box: BoxRow, x: float, y: float, side: float) -> bool:
    return box.x_min < x + side and box.x_max > x and box.y_min < y + side and box.y_max > y
