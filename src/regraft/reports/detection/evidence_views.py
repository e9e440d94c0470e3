"""The pixels of a page that explains boxes: pictures with numbered boxes, evidence, and similar boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from regraft.detection.detectors.run_tables import BoxRow
from regraft.detection.evidence.box_gallery import AlikeBox
from regraft.detection.evidence.explaining import ExplainedBox, ExplainedMiss, ExplainedPicture
from regraft.explanation.overlays import data_uri, overlaid, picture
from regraft.reports.detection.cases import box_path
from regraft.reports.detection.views import Crop

_FAINT = 0.1  # of a box's probability: smaller falls are drawn as faint as they are


@dataclass(frozen=True)
class Level:
    """How much of a page is pictures."""

    side_px: int
    crop_px: int
    quality: int
    pictures: int
    """The largest number of pictures."""


LEVELS = (
    Level(512, 240, 80, 60),
    Level(448, 208, 72, 60),
    Level(384, 176, 62, 60),
    Level(320, 144, 52, 40),
    Level(256, 128, 44, 24),
    Level(224, 112, 36, 12),
    Level(192, 96, 30, 6),
    Level(160, 80, 30, 2),
)
"""What is tried, until the page is small enough."""


@dataclass(frozen=True)
class Mark:
    """A numbered box in a picture."""

    number: int
    kind: str
    """`right` for a found box, `lost` for a missed one."""
    path: str
    """The box as the data of an SVG path."""
    x: float
    y: float


@dataclass(frozen=True)
class AlikeView:
    """A similar training box."""

    alike: AlikeBox
    crop: Crop | None
    image: str
    """A `data:` address; empty if the picture can't be read."""


@dataclass(frozen=True)
class BoxView:
    """A found box with what it rests on."""

    number: int
    box: ExplainedBox
    left: float
    """Edges of what is shown, in pixels of the picture."""
    top: float
    width: float
    height: float
    path: str
    """The box as the data of an SVG path."""
    image: str
    overlay: str
    alike: list[AlikeView]
    others: list[AlikeView]

    @property
    def rests_on(self) -> str:
        """What the box needs."""
        return self.box.evidence.rests_on(self.box.score)


@dataclass(frozen=True)
class MissView:
    """A missed box with what the detector takes for similar."""

    number: int
    miss: ExplainedMiss
    alike: list[AlikeView]


@dataclass(frozen=True)
class PictureView:
    """A picture with its boxes."""

    picture: ExplainedPicture
    image: str
    marks: list[Mark]
    boxes: list[BoxView]
    missed: list[MissView]


def picture_view(one: ExplainedPicture, crops: Mapping[BoxRow, Crop], level: Level) -> PictureView:
    """A picture as the page shows it.

    Args:
        one: the picture.
        crops: training boxes with their pixels.
        level: sizes and quality.
    """
    width, height = one.placement.covered
    found = [(box.corners, "right") for box in one.boxes]
    lost = [(miss.missed.box.corners, "lost") for miss in one.missed]
    marks = [
        Mark(number, kind, box_path([np.asarray(corners)], 1), corners[0], corners[1])
        for number, (corners, kind) in enumerate(found + lost, start=1)
    ]
    return PictureView(
        one,
        data_uri(picture(one.pixels[:height, :width]), side_px=level.side_px, quality=level.quality),
        marks,
        [_box_view(number, one, box, crops, level) for number, box in enumerate(one.boxes, start=1)],
        [
            MissView(number, miss, _alike(miss.alike, crops, level))
            for number, miss in enumerate(one.missed, start=1 + len(one.boxes))
        ],
    )


def _box_view(
    number: int, one: ExplainedPicture, box: ExplainedBox, crops: Mapping[BoxRow, Crop], level: Level
) -> BoxView:
    rows, columns = box.evidence.around
    edges = one.placement.back([columns.start, rows.start, columns.stop, rows.stop])[0]
    left, top, right, bottom = (float(edge) for edge in edges)
    part = one.pixels[box.evidence.around]
    plain, heated = picture(part), overlaid(part, strength(box))
    return BoxView(
        number,
        box,
        left,
        top,
        right - left,
        bottom - top,
        box_path([np.asarray(box.corners)], 1),
        _uri(plain, level),
        _uri(heated, level),
        _alike(box.alike, crops, level),
        _alike(box.others, crops, level),
    )


def _uri(image: Image.Image, level: Level) -> str:
    """A part of a picture as a `data:` address, a small one enlarged."""
    factor = level.crop_px / max(image.size)
    size = [max(1, round(side * factor)) for side in image.size]
    sized = image.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    return data_uri(sized, side_px=level.crop_px, quality=level.quality)


def strength(box: ExplainedBox) -> npt.NDArray[np.float32]:
    """The evidence for a box, `(h, w) float32` in [0, 1]: 1 where it is largest, unless all is faint."""
    heat = box.evidence.heat
    most = max(float(heat.max()), _FAINT * box.score, 1e-9)
    return np.asarray(heat / most, dtype=np.float32)


def _alike(alike: Sequence[AlikeBox], crops: Mapping[BoxRow, Crop], level: Level) -> list[AlikeView]:
    found = []
    for one in alike:
        crop = crops.get(one.box)
        found.append(AlikeView(one, crop, crop.uri(level.quality) if crop else ""))
    return found
