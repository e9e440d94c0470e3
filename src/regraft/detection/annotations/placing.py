"""From the coordinates of an annotation file to pixels of the upright picture: unit, size and rotation.

Cameras store a picture as the sensor lies and note how to turn it (EXIF 2.32, tag 0x0112). Regraft turns
pictures upright; labelling tools may or may not have done so before a box was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from regraft.detection.sources.sheets import Corners, Mark, Sheet, Unit

Drawn = Literal["upright", "before rotation", "unknown"]
_GRID = 64
_SAME_SHAPE = 0.01
_SHARE_AT_MOST = 1.05  # rounding pushes shares a little beyond 1
_PIXELS_FROM = 2.0


@dataclass(frozen=True)
class PictureFacts:
    """What the checks need to know of a picture."""

    sha256: str
    width: int
    """Width as stored in the file, in pixels."""
    height: int
    orientation: int
    """EXIF orientation, 1 to 8."""

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height before rotation."""
        return self.width, self.height

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height after rotation."""
        return (self.height, self.width) if self.orientation >= 5 else self.stored


@dataclass(frozen=True)
class Frame:
    """How the coordinates of a sheet are to be understood."""

    drawn: Drawn
    """Whether boxes were drawn on the upright picture."""
    size: tuple[float, float] | None
    """The size that pixels refer to; None for the picture's own."""
    remark: str = ""
    """What is unusual about the size, as a sentence without an end."""
    is_refused: bool = False
    """Whether the sheet is for another picture, so that its boxes can't be used."""


def unit_of_file(sheets: list[Sheet]) -> Unit:
    """The unit of a file that states none: shares if most of its boxes are within 0 and 1."""
    marks = [mark for sheet in sheets for mark in sheet.marks]
    small = sum(max(map(abs, mark.corners)) <= _SHARE_AT_MOST for mark in marks)
    return "shares" if small * 2 > len(marks) else "pixels"


def in_one_unit(sheet: Sheet) -> tuple[Sheet, list[Mark], str]:
    """The sheet with boxes of one unit, the boxes of another, and what to say if the unit is not as stated.

    If all boxes of a sheet are of the other unit, that one is meant. If only some are, they are left out.
    """
    assert sheet.unit is not None
    others = [mark for mark in sheet.marks if _is_other(mark, sheet.unit)]
    if not others:
        return sheet, [], ""
    if len(others) < len(sheet.marks):
        kept = tuple(mark for mark in sheet.marks if not _is_other(mark, sheet.unit))
        return replace(sheet, marks=kept), others, ""
    other: Unit = "pixels" if sheet.unit == "shares" else "shares"
    meanings = {"pixels": "pixels", "shares": "shares of the picture"}
    text = f"coordinates are {meanings[other]}, where {meanings[sheet.unit]} are expected; read as {other}"
    return replace(sheet, unit=other), [], text


def _is_other(mark: Mark, unit: Unit) -> bool:
    largest = max(map(abs, mark.corners))
    if unit == "shares":
        return largest > _PIXELS_FROM
    return largest <= _SHARE_AT_MOST and any(value != int(value) for value in mark.corners)


def frame_of(sheet: Sheet, facts: PictureFacts) -> Frame:
    """How a sheet is understood, from the size that it states and the bounds of its boxes."""
    stored, upright = facts.stored, facts.upright
    is_turned, is_sideways = facts.orientation > 1, facts.orientation >= 5 and facts.width != facts.height
    neutral: Drawn = "unknown" if is_turned else "upright"
    if sheet.size is None:
        return Frame(_drawn_by_bounds(sheet, facts) if is_sideways else neutral, None)
    width, height = sheet.size
    if width <= 0 or height <= 0:
        text = f"the file states a size of {width:g} x {height:g}; the picture's own is used"
        return Frame(_drawn_by_bounds(sheet, facts) if is_sideways else neutral, None, text)
    if (width, height) == upright:
        return Frame("upright" if is_sideways else neutral, None)
    if is_sideways and (width, height) == stored:
        return Frame("before rotation", None)
    text = f"the file states {width:g} x {height:g}, the picture has {upright[0]} x {upright[1]} pixels"
    if _is_same_shape(sheet.size, upright):
        return Frame("upright" if is_sideways else neutral, sheet.size, f"{text}; boxes are scaled")
    if is_sideways and _is_same_shape(sheet.size, stored):
        return Frame("before rotation", sheet.size, f"{text}; boxes are scaled")
    if sheet.unit == "shares" or _fits(sheet, upright):
        return Frame(neutral, None, f"{text}; boxes are inside, and taken as they are")
    return Frame(
        neutral, None, f"{text}; its boxes don't fit, so it is about another picture", is_refused=True
    )


def _drawn_by_bounds(sheet: Sheet, facts: PictureFacts) -> Drawn:
    if sheet.unit == "shares":
        return "unknown"
    fits = _fits(sheet, facts.upright), _fits(sheet, facts.stored)
    return {(True, False): "upright", (False, True): "before rotation"}.get(fits, "unknown")  # type: ignore[return-value]


def _fits(sheet: Sheet, size: tuple[float, float]) -> bool:
    """Whether all boxes are within a size, a pixel more allowed for counting from 1."""
    width, height = size[0] + 1, size[1] + 1
    return all(
        max(left, right) <= width and max(top, bottom) <= height
        for left, top, right, bottom in (mark.corners for mark in sheet.marks)
    )


def _is_same_shape(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= _SAME_SHAPE


def placed(corners: Corners, sheet: Sheet, frame: Frame, facts: PictureFacts) -> Corners:
    """Corners in pixels of the upright picture, to 1/64 pixel; neither clipped nor put in order.

    >>> facts = PictureFacts("", 40, 20, 6)  # stored lying, shown standing
    >>> placed((0, 0, 0.5, 1), Sheet((), (), unit="shares"), Frame("before rotation", None), facts)
    (0.0, 0.0, 20.0, 20.0)
    """
    is_before = frame.drawn == "before rotation"
    width, height = facts.stored if is_before else facts.upright
    across, down = (1.0, 1.0) if sheet.unit == "shares" else frame.size or (float(width), float(height))
    left, top, right, bottom = (
        value * length / whole
        for value, length, whole in zip(
            corners, (width, height, width, height), (across, down, across, down), strict=True
        )
    )
    if is_before:
        x, y = _turned(left, top, width, height, facts.orientation)
        u, v = _turned(right, bottom, width, height, facts.orientation)
        left, top, right, bottom = min(x, u), min(y, v), max(x, u), max(y, v)
    return _snapped(left), _snapped(top), _snapped(right), _snapped(bottom)


def _snapped(value: float) -> float:
    return round(value * _GRID) / _GRID


def _turned(x: float, y: float, width: float, height: float, orientation: int) -> tuple[float, float]:
    """Where a point of a stored picture is after the turn that an orientation asks for."""
    places = (
        (x, y),
        (width - x, y),
        (width - x, height - y),
        (x, height - y),
        (y, x),
        (height - y, x),
        (height - y, width - x),
        (y, width - x),
    )
    return places[orientation - 1]
