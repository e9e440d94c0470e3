"""Which classes are taken for which: shown boxes against objects, with what is missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.detection.detectors.evaluated import Evaluated
from regraft.evaluation.detection_errors import KINDS
from regraft.evaluation.matching import IOUS, image_overlaps

_MATRIX_MAX = 60  # a matrix of more classes can't be read
_PAIRS = 60


@dataclass(frozen=True)
class Cell:
    """A number of the matrix, with the class in the style sheet that shades it."""

    count: int
    shade: str


@dataclass(frozen=True)
class Pair:
    """Objects of one class that are shown as another one."""

    label: str
    shown_as: str
    count: int
    objects: int
    """Number of objects of the class."""


@dataclass(frozen=True)
class Confusion:
    """The matrix, and the pairs of classes that it confuses, the most frequent first."""

    columns: list[str]
    """The true classes, and `background`; empty if they are too many for a matrix."""
    rows: list[tuple[str, list[Cell]]]
    """The classes that are shown, and `missed`; empty likewise."""
    pairs: list[Pair]
    all_pairs: int


def confusion(run: Evaluated) -> Confusion:
    """The matrix of a run, ready to be shown."""
    table = confusion_counts(run)
    labels, width = run.names, len(run.names)
    totals = table.sum(axis=0)
    confused = [(shown, true) for shown, true in np.argwhere(table[:width, :width] > 0) if shown != true]
    confused.sort(key=lambda cell: -table[cell])
    pairs = [
        Pair(labels[true], labels[shown], int(table[shown, true]), int(totals[true]))
        for shown, true in confused[:_PAIRS]
    ]
    if width > _MATRIX_MAX:
        return Confusion([], [], pairs, len(confused))
    rows = []
    for shown, name in enumerate([*labels, "missed"]):
        scale = np.where(np.arange(width + 1) == width, max(1, table[shown].sum()), np.maximum(totals, 1))
        cells = [
            Cell(int(count), _shade(count / scale[true], is_right=shown == true) if count else "zero")
            for true, count in enumerate(table[shown])
        ]
        rows.append((name, cells[:-1] if name == "missed" and shown == width else cells))
    return Confusion([*labels, "background"], rows, pairs, len(confused))


def confusion_counts(run: Evaluated) -> npt.NDArray[np.int64]:
    """Shown boxes by their class and that of their object, `(K + 1, K + 1) int64`.

    Boxes of the right class get their objects first, by COCO's rules. Then each remaining box, that with the
    largest score first, gets the remaining object with which it overlaps most, by .50 or more. The last row
    counts objects without a box, the last column boxes without an object: those on the background, but also
    duplicates and boxes that overlap too little. Each column but the last adds up to the objects of a class.
    """
    width = len(run.labels)
    errors, shown, truth = run.shown_errors, run.shown, run.truth
    partner = np.where(errors.kinds == KINDS.index("right"), errors.targets, -1)
    is_free = run.is_counted.copy()
    is_free[partner[partner >= 0]] = False
    rest = np.flatnonzero((partner < 0) & (errors.kinds != KINDS.index("ignored")))
    rest = rest[np.argsort(shown.images[rest], kind="stable")]
    pairs = [
        (-float(shown.scores[rest[place]]), -float(share), int(rest[place]), int(box))
        for places, boxes, shares in image_overlaps(shown, rest, truth, IOUS[0])
        for place, box, share in zip(places, boxes, shares, strict=True)
    ]
    for _, _, row, box in sorted(pairs):
        if partner[row] < 0 and is_free[box]:
            partner[row], is_free[box] = box, False
    table = np.zeros((width + 1, width + 1), np.int64)
    there = partner >= 0
    np.add.at(table, (shown.classes[there], truth.classes[partner[there]]), 1)
    lost = ~there & (errors.kinds != KINDS.index("ignored"))
    np.add.at(table, (shown.classes[lost], np.full(int(lost.sum()), width)), 1)
    np.add.at(table, (np.full(int(is_free.sum()), width), truth.classes[is_free]), 1)
    return table


def _shade(share: float, *, is_right: bool) -> str:
    level = 1 + min(3, int(share * 4)) if is_right else 1 + min(3, int(share * 10))
    return f"{'h' if is_right else 'e'}{level}"
