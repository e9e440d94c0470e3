"""Boxes drawn on a picture: outlines with black edges, and a tag with label and score at each."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from regraft.detection.results.colours import Style
from regraft.detection.results.marked import MarkedBox

_LINE_SHARE, _TEXT_SHARE = 1 / 250, 1 / 45
_TEXT_PX = (10, 120)
_SMALLEST_TEXT_PX = 6
_LINE_OF_BOX = 1 / 6  # a line covers at most this share of a box's shorter side
Rectangle = tuple[int, int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Tag:
    """A text in a filled rectangle."""

    text: str
    frame: Rectangle
    """Left, top, right and bottom in whole pixels, within the picture."""
    font: Font
    padding: int


def draw_boxes(image: Image.Image, boxes: Sequence[MarkedBox], styles: Mapping[str, Style]) -> Image.Image:
    """A copy of a picture with boxes; the most certain ones are on top.

    The width of lines is 1/250 of the longer side, the height of letters 1/45. A tag is above its box, or
    where it hides the least of other tags, and always within the picture.

    Args:
        image: an upright picture in RGB.
        boxes: in pixels of the picture, the most certain first.
        styles: the style of each class.
    """
    drawn = image.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    width = max(2, round(max(image.size) * _LINE_SHARE))
    tags = tags_of(image.size, boxes)
    for mark in reversed(boxes):
        _outline(pen, mark, styles[mark.box.label], width)
    for mark, tag in reversed(list(zip(boxes, tags, strict=True))):
        if tag is not None:
            left, top, right, bottom = tag.frame
            edge = max(1, tag.padding // 2)
            style = styles[mark.box.label]
            pen.rectangle((left, top, right - 1, bottom - 1), fill=style.colour, outline="black", width=edge)
            pen.text((left + tag.padding, top + tag.padding), tag.text, fill="black", font=tag.font)
    return drawn


def _outline(pen: ImageDraw.ImageDraw, mark: MarkedBox, style: Style, usual: int) -> None:
    box = mark.box
    side = min(box.x_max - box.x_min, box.y_max - box.y_min)
    width = max(1, min(usual, int(side * _LINE_OF_BOX)))
    edge = max(1, width // 3)
    left, top = round(box.x_min), round(box.y_min)
    right, bottom = max(left + 1, round(box.x_max)), max(top + 1, round(box.y_max))
    around = (left - edge, top - edge, right - 1 + edge, bottom - 1 + edge)
    pen.rectangle(around, outline="black", width=width + 2 * edge)
    if style.dashes is None:
        pen.rectangle((left, top, right - 1, bottom - 1), outline=style.colour, width=width)
        return
    for one in _dashes((left, top, right, bottom), style.dashes, width):
        pen.rectangle(one, fill=style.colour)


def _dashes(frame: Rectangle, dashes: tuple[int, int], width: int) -> Iterator[Rectangle]:
    """The filled rectangles of a broken outline, corners included, with their last pixels."""
    left, top, right, bottom = frame
    on, period = dashes[0] * width, sum(dashes) * width
    for start in range(left, right, period):
        end = min(start + on, right) - 1
        yield start, top, end, min(top + width, bottom) - 1
        yield start, max(bottom - width, top), end, bottom - 1
    for start in range(top, bottom, period):
        end = min(start + on, bottom) - 1
        yield left, start, min(left + width, right) - 1, end
        yield max(right - width, left), start, right - 1, end


def tags_of(size: tuple[int, int], boxes: Sequence[MarkedBox]) -> list[Tag | None]:
    """The tag of each box; None where the picture is too small for a single letter.

    Args:
        size: width and height of the picture.
        boxes: its boxes, the most certain first; the first tags have the choice of places.
    """
    usual = min(max(round(max(size) * _TEXT_SHARE), _TEXT_PX[0]), _TEXT_PX[1])
    taken: list[Rectangle] = []
    tags: list[Tag | None] = []
    for mark in boxes:
        fitted = _fitted(mark, size, usual)
        if fitted is None:
            tags.append(None)
            continue
        text, font, padding, width, height = fitted
        frame = _best_place(mark, size, (width, height), taken)
        taken.append(frame)
        tags.append(Tag(text, frame, font, padding))
    return tags


def _fitted(mark: MarkedBox, size: tuple[int, int], text_px: int) -> tuple[str, Font, int, int, int] | None:
    """A text in letters that fit into the picture, shortened if need be; its padding, width and height."""
    label, score = mark.box.label, "" if mark.score is None else f" {mark.score:.0%}"
    text = label + score
    while True:
        font = _font(text_px)
        padding = max(2, text_px // 5)
        width, height = _extent(text, font, padding)
        if width <= size[0] and height <= size[1]:
            return text, font, padding, width, height
        if text_px > _SMALLEST_TEXT_PX:
            text_px = max(_SMALLEST_TEXT_PX, min(text_px - 1, text_px * size[0] // width))
        elif label and height <= size[1]:
            label = label[:-1]
            text = f"{label}…{score}" if label else score.strip()
        else:
            return None


def _extent(text: str, font: Font, padding: int) -> tuple[int, int]:
    """Width and height of a tag; all tags of one font have the same height."""
    left, top, right, _ = font.getbbox(text)
    _, _, _, bottom = font.getbbox("Égjpqy")
    return round(right - min(left, 0)) + 2 * padding + 1, round(bottom - min(top, 0)) + 2 * padding


@functools.cache
def _font(size_px: int) -> Font:
    """DejaVu Sans, which knows most alphabets and comes with matplotlib; otherwise Pillow's own font."""
    found = importlib.util.find_spec("matplotlib")
    if found is not None and found.origin is not None:
        file = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), size_px)
    return ImageFont.load_default(size_px)


def _best_place(
    mark: MarkedBox, size: tuple[int, int], extent: tuple[int, int], taken: Sequence[Rectangle]
) -> Rectangle:
    """Above the box, inside it, below it or at its right end: where a tag hides the least.

    Every place is moved into the picture. Other tags count before the box itself, of which a quarter may be
    hidden; of equal places the first is used.
    """
    box, (width, height) = mark.box, extent
    own = round(box.x_min), round(box.y_min), round(box.x_max), round(box.y_max)
    left, top, right, bottom = own
    corners = (
        (left, top - height),
        (left, top),
        (left, bottom),
        (right - width, top - height),
        (right - width, bottom),
        (left, bottom - height),
    )
    inside = ((min(max(x, 0), size[0] - width), min(max(y, 0), size[1] - height)) for x, y in corners)
    places = [(x, y, x + width, y + height) for x, y in inside]
    quarter = max(1, (right - left) * (bottom - top) // 4)
    return min(
        places, key=lambda one: (sum(_common(one, other) for other in taken), _common(one, own) // quarter)
    )


def _common(one: Rectangle, other: Rectangle) -> int:
    """The pixels that two rectangles share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, across) * max(0, down)
