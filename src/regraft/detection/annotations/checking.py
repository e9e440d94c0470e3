"""Which boxes of a picture can be used: each fault is a finding that names the file and the box."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from regraft.data.sources.labels import label_of, spelling_key
from regraft.detection.annotations.boxes import Box, BoxedPicture
from regraft.detection.annotations.noticed import Noticed
from regraft.detection.annotations.placing import Frame, PictureFacts, placed
from regraft.detection.sources.sheets import Corners, Mark, Sheet
from regraft.errors import DataError

_LEAST_INSIDE = 0.25
"""A box is left out if a smaller share of its area is inside the picture."""
_ROUNDING_PX, _ROUNDING_SHARE = 2.0, 0.01
_FEW_BOXES = 10


def usable_boxes(
    sheet: Sheet, frame: Frame, facts: PictureFacts, noticed: Noticed, paths: tuple[str, str]
) -> list[Box]:
    """The boxes of a sheet that can be used, in the order of the file.

    Args:
        sheet: what the file says; its coordinates have one unit.
        frame: how its coordinates are understood.
        facts: size and rotation of the picture.
        noticed: receives a finding for each box that is changed or left out.
        paths: path of the picture and of the annotation file.
    """
    boxes = []
    for mark in sheet.marks:
        about = f"{mark.where}, {mark.label.strip()[:80]} {_shown(mark.corners)}"
        label = _label(mark, about, noticed, paths)
        corners = _ordered(mark, about, noticed, paths)
        if label is None or corners is None:
            continue
        corners = placed(corners, sheet, frame, facts)
        inside = _inside(corners, facts.upright, about, noticed, paths)
        if inside is not None:
            boxes.append(Box(label, *inside, is_crowd=mark.is_crowd, is_difficult=mark.is_difficult))
    return boxes


def without_repetition(boxes: Iterable[Box], noticed: Noticed, paths: tuple[str, ...]) -> tuple[Box, ...]:
    """The boxes of a picture, each once; boxes that differ in their label alone are kept, and named."""
    kept: dict[Corners, dict[str, Box]] = defaultdict(dict)
    for box in boxes:
        corners = (box.x_min, box.y_min, box.x_max, box.y_max)
        same = kept[corners]
        if box.label in same:
            noticed.add("duplicate-box", f"{box.label} {_shown(corners)} is there twice; one is kept", *paths)
            continue
        if same:
            others = ", ".join(same)
            noticed.add(
                "conflict", f"{_shown(corners)} is both {others} and {box.label}; both are kept", *paths
            )
        same[box.label] = box
    return tuple(box for same in kept.values() for box in same.values())


def class_findings(pictures: Sequence[BoxedPicture], noticed: Noticed) -> None:
    """Findings about labels that differ by case or blanks, and about classes with few boxes."""
    counts: dict[str, int] = defaultdict(int)
    example: dict[str, str] = {}
    for picture in pictures:
        for box in picture.boxes:
            counts[box.label] += 1
            example.setdefault(box.label, picture.path)
    alike: dict[str, list[str]] = defaultdict(list)
    for label in sorted(counts):
        alike[spelling_key(label)].append(label)
    for labels in alike.values():
        if len(labels) > 1:
            names = " and ".join(f"{label!r} ({counts[label]:,})" for label in labels)
            text = f"{names} are different classes, but are written almost alike; use one spelling"
            noticed.add("spelling", text, *(example[label] for label in labels))
    for label, count in sorted(counts.items()):
        if count < _FEW_BOXES:
            boxes = "1 box" if count == 1 else f"{count} boxes"
            text = f"class {label} has {boxes}; a detector needs at least {_FEW_BOXES}, and better 100"
            noticed.add("tiny-class", text, example[label])


def _label(mark: Mark, about: str, noticed: Noticed, paths: tuple[str, str]) -> str | None:
    try:
        label = label_of(mark.label)
    except DataError as error:
        noticed.add("label", f"{mark.where}: {error}; left out", *paths)
        return None
    if label is None:
        noticed.add("label", f"{about}: the label is empty; left out", *paths)
    elif label != mark.label:
        noticed.add("blanks", f"{mark.where}: the label {mark.label!r} is read as {label!r}", *paths)
    return label


def _ordered(mark: Mark, about: str, noticed: Noticed, paths: tuple[str, str]) -> Corners | None:
    left, top, right, bottom = mark.corners
    if right < left or bottom < top:
        noticed.add(
            "inverted", f"{about}: right is less than left, or bottom less than top; left out", *paths
        )
        return None
    if right == left or bottom == top:
        noticed.add("zero-area", f"{about} has no area; left out", *paths)
        return None
    return mark.corners


def _inside(
    corners: Corners, size: tuple[int, int], about: str, noticed: Noticed, paths: tuple[str, str]
) -> Corners | None:
    left, top, right, bottom = corners
    width, height = size
    area = (right - left) * (bottom - top)
    if area <= 0:
        noticed.add("zero-area", f"{about} is smaller than 1/64 of a pixel; left out", *paths)
        return None
    clipped = (
        min(max(left, 0.0), width), min(max(top, 0.0), height),
        min(max(right, 0.0), width), min(max(bottom, 0.0), height),
    )  # fmt: skip
    if clipped == corners:
        return corners
    share = (clipped[2] - clipped[0]) * (clipped[3] - clipped[1]) / area
    if share < _LEAST_INSIDE:
        text = f"{about}: {share:.0%} of it is inside the picture of {width} x {height} pixels; left out"
        noticed.add("outside", text, *paths)
        return None
    beyond = max(abs(a - b) for a, b in zip(corners, clipped, strict=True))
    is_rounding = beyond <= max(_ROUNDING_PX, _ROUNDING_SHARE * max(size))
    text = f"{about}: it ends {beyond:.4g} pixels outside the picture of {width} x {height} pixels; clipped"
    noticed.add("clipped" if is_rounding else "outside", text, *paths)
    return clipped


def _shown(corners: Corners) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in corners) + ")"
