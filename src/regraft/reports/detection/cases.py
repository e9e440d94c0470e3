"""Pictures with their true boxes and what was found in them, the worst first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.detection.detectors.evaluated import Evaluated
from regraft.detection.detectors.run_tables import PictureRow
from regraft.evaluation.boxes import Floats, Ints
from regraft.evaluation.detection_errors import FATES, KINDS
from regraft.reports.detection.losses import MISTAKES

_WORST = 24
_FAULTLESS = 6
_MARKS, _DRAWN = 60, 300  # errors, and boxes of each layer, in one picture
_RIGHT = KINDS.index("right")
_FOUND, _MISSED = FATES.index("found"), FATES.index("missed")


@dataclass(frozen=True)
class Mark:
    """One error in a picture."""

    number: int
    kind: str
    """One of `MISTAKES`."""
    label: int
    """Number of the class that is shown, or of the object that is missed."""
    true: int | None
    """Number of the class of the object that the box is about; None where there is none."""
    score: float | None
    """None for an object that is missed."""
    path: str
    """The box as the data of an SVG path."""
    x: float
    """Left edge of the box, in the picture."""
    y: float
    """Top edge."""


@dataclass(frozen=True)
class Layer:
    """Boxes of one class that are drawn alike, as the data of an SVG path."""

    label: int
    what: str
    """`there` for objects that are found, `lost` for others, `right` for boxes that find one."""
    path: str


@dataclass(frozen=True)
class Case:
    """One picture with its boxes."""

    picture: PictureRow
    right: int
    """Number of boxes that are shown and right."""
    wrong: int
    """Number of boxes that are shown and wrong."""
    lost: int
    """Number of objects that are not found."""
    layers: list[Layer]
    marks: list[Mark]
    hidden: int
    """Number of errors that are not drawn, since they are too many."""


@dataclass(frozen=True)
class _Tallies:
    """What is right and wrong in each of the P pictures, as numbers."""

    right: Ints
    wrong: Ints
    lost: Ints
    by_kind: npt.NDArray[np.bool_]
    """`(6, P)`, whether there is an error of each of the kinds."""
    by_class: npt.NDArray[np.bool_]
    """`(K, P)`, whether there is an error with each of the classes."""

    @property
    def order(self) -> list[int]:
        """The pictures with the lowest F1 first; of equal ones, those with more errors."""
        errors = self.wrong + self.lost
        f1 = 2 * self.right / np.maximum(2 * self.right + errors, 1)
        return [int(place) for place in np.lexsort((-errors, np.where(errors > 0, f1, 1.0)))]


def cases(run: Evaluated, most: int) -> list[Case]:
    """At most `most` pictures, the worst first, with examples of every kind of error and of every class."""
    tallies = _tallies(run)
    chosen = _chosen(tallies, most)
    return [_case(run, tallies, place) for place in tallies.order if place in chosen]


def _tallies(run: Evaluated) -> _Tallies:
    errors, shown, truth = run.shown_errors, run.shown, run.truth
    width = len(run.pictures)
    is_right, is_wrong = errors.kinds == _RIGHT, _is_wrong(run)
    is_lost = run.is_counted & (errors.fates != _FOUND)
    by_kind, by_class = np.zeros((len(MISTAKES), width), bool), np.zeros((len(run.labels), width), bool)
    for number, kind in enumerate(MISTAKES[:-1]):
        by_kind[number, shown.images[errors.kinds == _kind(kind)]] = True
    by_kind[-1, truth.images[errors.fates == _MISSED]] = True
    by_class[shown.classes[is_wrong], shown.images[is_wrong]] = True
    by_class[truth.classes[is_lost], truth.images[is_lost]] = True
    right, wrong, lost = (
        np.bincount(images, minlength=width)
        for images in (shown.images[is_right], shown.images[is_wrong], truth.images[is_lost])
    )
    return _Tallies(right, wrong, lost, by_kind, by_class)


def _chosen(tallies: _Tallies, most: int) -> set[int]:
    """The worst pictures, then by turns those of each kind of error and class, and some without errors.

    Of few pictures, all are shown.
    """
    is_faulty = tallies.wrong + tallies.lost > 0
    faulty = [place for place in tallies.order if is_faulty[place]]
    chosen = set(faulty[: min(_WORST, most)])
    groups = [[place for place in faulty if has[place]] for has in (*tallies.by_kind, *tallies.by_class)]
    turns = [iter(group) for group in groups]
    while turns and len(chosen) < most:
        turn = turns.pop(0)
        place = next((one for one in turn if one not in chosen), None)
        if place is not None:
            chosen.add(place)
            turns.append(turn)
    rest = [place for place in tallies.order if not is_faulty[place]]
    wanted = len(rest) if len(tallies.order) <= _WORST else _FAULTLESS
    return chosen | set(rest[: min(wanted, most - len(chosen))])


def _case(run: Evaluated, tallies: _Tallies, place: int) -> Case:
    picture, errors, shown, truth = run.pictures[place], run.shown_errors, run.shown, run.truth
    digits = sum(max(picture.width, picture.height) < limit for limit in (100, 1_000))
    rows = np.flatnonzero(shown.images == place)
    own = np.flatnonzero((truth.images == place) & run.is_counted)
    is_found = errors.fates[own] == _FOUND
    layers = [
        *_layers("there", truth.classes, truth.corners, own[is_found], digits),
        *_layers("lost", truth.classes, truth.corners, own[~is_found], digits),
        *_layers("right", shown.classes, shown.corners, rows[errors.kinds[rows] == _RIGHT], digits),
    ]
    wrong = rows[_is_wrong(run)[rows]]
    wrong = wrong[np.argsort(-shown.scores[wrong], kind="stable")]
    marks = [_wrong_mark(run, int(row), digits) for row in wrong]
    marks += [_missed_mark(run, int(row), digits) for row in own[errors.fates[own] == _MISSED]]
    return Case(
        picture,
        int(tallies.right[place]),
        int(tallies.wrong[place]),
        int(tallies.lost[place]),
        layers,
        [_numbered(mark, number) for number, mark in enumerate(marks[:_MARKS], start=1)],
        max(0, len(marks) - _MARKS),
    )


def _is_wrong(run: Evaluated) -> npt.NDArray[np.bool_]:
    wrong: npt.NDArray[np.bool_] = ~np.isin(run.shown_errors.kinds, [_RIGHT, KINDS.index("ignored")])
    return wrong


def _kind(name: str) -> int:
    return [str(one) for one in KINDS].index(name)


def _wrong_mark(run: Evaluated, row: int, digits: int) -> Mark:
    shown, target = run.shown, int(run.shown_errors.targets[row])
    corners = shown.corners[row]
    return Mark(
        0,
        KINDS[int(run.shown_errors.kinds[row])],
        int(shown.classes[row]),
        None if target < 0 else int(run.truth.classes[target]),
        float(shown.scores[row]),
        box_path([corners], digits),
        float(corners[0]),
        float(corners[1]),
    )


def _missed_mark(run: Evaluated, row: int, digits: int) -> Mark:
    corners, number = run.truth.corners[row], int(run.truth.classes[row])
    x, y = float(corners[0]), float(corners[1])
    return Mark(0, "missed", number, number, None, box_path([corners], digits), x, y)


def _numbered(mark: Mark, number: int) -> Mark:
    return Mark(number, mark.kind, mark.label, mark.true, mark.score, mark.path, mark.x, mark.y)


def _layers(what: str, classes: Ints, corners: Floats, rows: Ints, digits: int) -> list[Layer]:
    return [
        Layer(int(label), what, box_path(corners[rows[classes[rows] == label][:_DRAWN]], digits))
        for label in np.unique(classes[rows])
    ]


def box_path(corners: Iterable[Floats], digits: int = 0) -> str:
    """Boxes as the data of an SVG path, with coordinates rounded to some digits.

    >>> box_path([np.array([1.2, 2, 11.2, 12])], 1)
    'M1.2 2h10v10h-10z'
    """
    parts = []
    for box in corners:
        left, top, right, bottom = (float(edge) for edge in box)
        x, y, width, height = (_written(one, digits) for one in (left, top, right - left, bottom - top))
        parts.append(f"M{x} {y}h{width}v{height}h-{width}z")
    return "".join(parts)


def _written(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
