"""Pictures on disk with boxes that were found in them or annotated, drawn at random, for tests of writers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from regraft.data.sources.labels import label_of
from regraft.detection.annotations.boxes import Box, BoxedPicture, BoxSet
from regraft.detection.annotations.reading import read_boxes
from regraft.detection.maps.found import Found
from regraft.detection.results.marked import FoundInPicture, MarkedSet
from regraft.detection.results.writing import BoxesTarget, boxes_place, write_boxes

LABELS = (
    "cat", "white cell", "a, b", 'the "best"', "it's", "<b>&amp;</b>", "=1+1", "-x", "@home", "'=1", "007",
    "nan", "Ära", "猫", "🦊", "# 1", "a # b", "a: b", "- a", "[x]", "{y}", "c\\d", "a/b", "train", "%s",
)  # fmt: skip
"""Names of classes that some format could take for something else."""
PATHS = (
    "a.jpg", "a/a.jpg", "b/a.jpg", "a/b/a.jpg", "my cat.png", "x, y.png", "b/it's.jpg", "=1.jpg", "Ä/ö.png",
    "IMG.2021.01.jpg", "<&>.png", "b/猫.png", "deep/er/and/deeper/1.png", "0 0.5 0.5 0.1 0.1.png",
)  # fmt: skip
"""Pictures in several folders, two of one name among them."""
KINDS: tuple[BoxesTarget, ...] = ("coco", "yolo", "voc", "csv")


@dataclass(frozen=True)
class Photos:
    """A folder with pictures, and what was found in them."""

    root: Path
    found: tuple[FoundInPicture, ...]


def save(root: Path, path: str, width: int, height: int) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (width % 256, height % 256, 90)).save(place)


labels = st.one_of(
    st.sampled_from(LABELS),
    st.text(min_size=1, max_size=12).map(label_of).filter(lambda label: label is not None),
)


@st.composite
def found_sets(draw: st.DrawFn) -> tuple[tuple[str, ...], list[FoundInPicture]]:
    """Classes, and what was found in up to five pictures; a picture may have nothing."""
    names = tuple(draw(st.lists(labels, min_size=1, max_size=4, unique=True)))
    paths = draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=5, unique=True))
    return names, [(path, *draw(_pictures(len(names)))) for path in paths]


@st.composite
def _pictures(draw: st.DrawFn, classes: int) -> tuple[int, int, Found]:
    width, height = draw(st.integers(3, 90)), draw(st.integers(3, 90))
    across, down = st.floats(-3, width + 3), st.floats(-3, height + 3)
    boxes, numbers, scores = [], [], []
    for _ in range(draw(st.integers(0, 4))):
        left, right = sorted((draw(across), draw(across)))
        top, bottom = sorted((draw(down), draw(down)))
        # Without this, numbers of a few boxes in a corner could be shares of the picture.
        boxes.append([left, top, max(right, min(2.5, width)), bottom])
        numbers.append(draw(st.integers(0, classes - 1)))
        scores.append(draw(st.floats(0, 1)))
    return width, height, Found.of(np.array(boxes).reshape(-1, 4), numbers, scores)


def reread(marked: MarkedSet, root: Path, out: Path, kind: BoxesTarget) -> BoxSet:
    """The data set that a folder of pictures is with the boxes that were written elsewhere."""
    name = {"coco": "boxes.json", "csv": "boxes.csv"}.get(kind, "boxes")
    write_boxes(marked, boxes_place(out / name, kind), to=kind)
    return read_boxes(out / name, root=root)


def contents(boxes: BoxSet) -> dict[str, list[tuple[str, float, float, float, float]]]:
    """The boxes of each picture, in an order of their own."""
    return {picture.path: corners(picture.boxes) for picture in boxes.pictures}


def expected(marked: MarkedSet) -> dict[str, list[tuple[str, float, float, float, float]]]:
    """The boxes that were written, likewise."""
    return {picture.path: corners([mark.box for mark in picture.boxes]) for picture in marked.pictures}


def corners(boxes: tuple[Box, ...] | list[Box]) -> list[tuple[str, float, float, float, float]]:
    return sorted((box.label, box.x_min, box.y_min, box.x_max, box.y_max) for box in boxes)


def box_set(root: Path, pictures: list[BoxedPicture]) -> BoxSet:
    """A data set of pictures, which are written to its root."""
    for picture in pictures:
        save(root, picture.path, picture.width, picture.height)
    return BoxSet(str(root), "made for a test", 1, tuple(pictures))
