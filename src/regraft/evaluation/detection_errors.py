"""Why detections are wrong and true boxes are missed, and how much average precision each kind costs.

Source: Bolya et al. 2020, "TIDE: a general toolbox for identifying object detection errors", sections 2.2 and
2.3, and its code, tidecv, for the order in which kinds are looked for and for which detection is corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from regraft.evaluation.average_precision import interpolated_precision
from regraft.evaluation.boxes import Bools, Detections, Floats, Ints, TrueBoxes
from regraft.evaluation.matching import IGNORED, IOUS, RIGHT, Matches, image_overlaps
from regraft.records import Record

Kind = Literal["right", "wrong class", "poor box", "both", "duplicate", "background", "ignored"]
KINDS: tuple[Kind, ...] = (
    "right",
    "wrong class",
    "poor box",
    "both",
    "duplicate",
    "background",
    "ignored",
)
"""What a detection can be, in the order of its numbers."""
_RIGHT, _WRONG_CLASS, _POOR_BOX, _BOTH, _DUPLICATE, _BACKGROUND, _IGNORED = range(len(KINDS))
Fate = Literal["found", "missed", "correctable", "ignored"]
FATES: tuple[Fate, ...] = ("found", "missed", "correctable", "ignored")
"""What can become of a true box, in the order of their numbers."""
BACKGROUND_IOU = 0.1
"""A detection that overlaps with every true box by less than this is on the background."""


class ErrorCosts(Record):
    """The mean AP at IoU .50 that would be gained if all errors of one kind were corrected, each in [0, 1].

    They don't add up to what is missing, since corrections depend on each other.
    """

    map50: float
    """Mean average precision at IoU .50 with all errors."""
    wrong_class: float
    """Each detection gets the class of its true box; of several, the best becomes right and others vanish."""
    poor_box: float
    """Each detection gets the box of its true box; of several, the best becomes right and others vanish."""
    both: float
    """Detections with wrong class and poor box vanish."""
    duplicate: float
    """Detections of what is already found vanish."""
    background: float
    """Detections on the background vanish."""
    missed: float
    """True boxes without any detection that could be corrected vanish."""
    false_positives: float
    """All detections that are not right vanish."""
    false_negatives: float
    """All true boxes that are not found vanish."""


@dataclass(frozen=True)
class DetectionErrors:
    """The kind of each detection and the fate of each true box, in the order in which they were given."""

    kinds: npt.NDArray[np.int8]
    """`(D,)`, positions in `KINDS`."""
    targets: Ints
    """`(D,)`, the true box that each detection finds or misses by its error; -1 if there is none."""
    fates: npt.NDArray[np.int8]
    """`(G,)`, positions in `FATES`; correctable: a detection has the wrong class or a poor box for it."""
    costs: ErrorCosts | None
    """None if no true box counts."""

    def count(self, kind: Kind) -> int:
        """The number of detections of a kind."""
        return int((self.kinds == KINDS.index(kind)).sum())

    @property
    def missed(self) -> int:
        """The number of true boxes that no detection finds, nor would find if it was corrected."""
        return int((self.fates == FATES.index("missed")).sum())


def detection_errors(matches: Matches, truth: TrueBoxes, found: Detections) -> DetectionErrors:
    """Give every detection its kind, in this order, at IoU .50.

    - right: it finds a true box; ignored: it isn't counted, or is beyond the 100 best of image and class;
    - poor box: its largest overlap with a true box of its class is in [.10, .50);
    - wrong class: it overlaps with a true box of another class by .50 or more;
    - duplicate: it overlaps by .50 or more with a true box of its class, which a larger score has found;
    - background: it overlaps with every true box by less than .10;
    - both: what remains, a poor box on an object of another class.

    Detections with low scores are errors as well. For the errors that users see at a threshold, match only
    the detections from there on.

    Args:
        matches: the result of `match` for the two others.
        truth: the true boxes.
        found: the detections.

    >>> from regraft.evaluation.boxes import detections, true_boxes
    >>> from regraft.evaluation.matching import match
    >>> truth = true_boxes([0, 0, 0], [0, 1, 0], [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    >>> boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [0, 50, 9, 59], [40, 0, 44, 10]]
    >>> found = detections([0] * 5, [0] * 5, boxes, [0.9, 0.8, 0.7, 0.6, 0.5])
    >>> errors = detection_errors(match(truth, found, images=1, classes=2), truth, found)
    >>> [KINDS[kind] for kind in errors.kinds]
    ['right', 'duplicate', 'wrong class', 'background', 'poor box']
    >>> [FATES[fate] for fate in errors.fates], errors.targets.tolist()
    (['found', 'correctable', 'correctable'], [0, 0, 1, -1, 2])
    """
    is_used = np.zeros(len(truth), bool)
    is_used[matches.partners[0][matches.outcomes[0, 0] == RIGHT]] = True
    kinds, targets = _kinds(matches, truth, found, is_used)
    corrected = _corrected(matches, kinds, targets, is_used)
    is_correctable = np.zeros(len(truth), bool)
    is_correctable[targets[corrected]] = True
    counted = matches.is_counted[0]
    fates = np.select([~counted, is_used, is_correctable], [3, 0, 2], 1).astype(np.int8)
    all_kinds = np.full(len(found), _IGNORED, np.int8)
    all_targets = np.full(len(found), -1, np.int64)
    all_kinds[matches.order], all_targets[matches.order] = kinds, targets
    costs = _costs(matches, kinds, targets, corrected, fates) if counted.any() else None
    return DetectionErrors(all_kinds, all_targets, fates, costs)


def _kinds(
    matches: Matches, truth: TrueBoxes, found: Detections, is_used: Bools
) -> tuple[npt.NDArray[np.int8], Ints]:
    """The kind of each row of the matches, and the true box that it is about."""
    by_image = np.argsort(matches.image, kind="stable")
    pairs = list(image_overlaps(found, matches.order[by_image], truth, BACKGROUND_IOU))
    empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    place, box, share = (np.concatenate(part) for part in zip(empty, *pairs, strict=True))
    is_counted = matches.is_counted[0, box]
    row, box, share = by_image[place[is_counted]], box[is_counted], share[is_counted]
    is_same = found.classes[matches.order[row]] == truth.classes[box]

    def best(chosen: Bools) -> tuple[Floats, Ints]:
        return _best(row[chosen], box[chosen], share[chosen], len(matches.order))

    own, other, taken = best(is_same), best(~is_same), best(is_same & is_used[box])
    nearest = best(np.ones(len(row), bool))
    conditions: list[tuple[Bools, int, Ints]] = [
        (matches.outcomes[0, 0] == IGNORED, _IGNORED, np.full_like(matches.order, -1)),
        (matches.outcomes[0, 0] == RIGHT, _RIGHT, matches.partners[0].astype(np.int64)),
        ((own[0] >= BACKGROUND_IOU) & (own[0] < IOUS[0]), _POOR_BOX, own[1]),
        (other[0] >= IOUS[0], _WRONG_CLASS, other[1]),
        (taken[0] >= IOUS[0], _DUPLICATE, taken[1]),
        (nearest[0] < BACKGROUND_IOU, _BACKGROUND, nearest[1]),
    ]
    tests = [test for test, _, _ in conditions]
    kinds = np.select(tests, [np.full(len(matches.order), kind) for _, kind, _ in conditions], _BOTH)
    return kinds.astype(np.int8), np.select(tests, [target for _, _, target in conditions], nearest[1])


def _best(row: Ints, box: Ints, share: Floats, count: int) -> tuple[Floats, Ints]:
    """The largest overlap of each row, and the true box; 0 and -1 without any. Of equal ones, the first."""
    order = np.lexsort((box, -share, row))
    rows, first = np.unique(row[order], return_index=True)
    shares, boxes = np.zeros(count), np.full(count, -1, np.int64)
    shares[rows], boxes[rows] = share[order][first], box[order][first]
    return shares, boxes


def _corrected(matches: Matches, kinds: npt.NDArray[np.int8], targets: Ints, is_used: Bools) -> Ints:
    """The detections that become right if their class or box is corrected: the best one for each true box."""
    rows = np.flatnonzero((kinds == _WRONG_CLASS) | (kinds == _POOR_BOX))
    rows = rows[~is_used[targets[rows]]]
    order = np.lexsort((matches.order[rows], -matches.scores[rows], targets[rows]))
    _, first = np.unique(targets[rows][order], return_index=True)
    best: Ints = rows[order][first]
    return best


@dataclass(frozen=True)
class _Case:
    """Detections and numbers of true boxes after a correction."""

    classes: Ints
    """`(N,)`, the class of each detection."""
    is_right: Bools
    is_there: Bools
    totals: Ints
    """`(K,)`, the number of true boxes of each class."""


def _costs(
    matches: Matches,
    kinds: npt.NDArray[np.int8],
    targets: Ints,
    corrected: Ints,
    fates: npt.NDArray[np.int8],
) -> ErrorCosts:
    counts = matches.is_counted[0]
    width = matches.classes
    classes = np.repeat(np.arange(width), np.diff(matches.starts))
    totals = np.bincount(matches.true_classes[counts], minlength=width)
    now = _Case(classes, kinds == _RIGHT, kinds != _IGNORED, totals)
    is_known = totals > 0
    order = np.lexsort((np.arange(len(kinds)), matches.image, -matches.scores))

    def value(case: _Case) -> float:
        values = [_value(case, order, int(number)) for number in np.flatnonzero(is_known)]
        return float(np.mean(values))

    def without(*gone: int) -> _Case:
        return replace(now, is_there=now.is_there & ~np.isin(kinds, gone))

    def with_corrected(kind: int) -> _Case:
        rows = corrected[kinds[corrected] == kind]
        new, right, there = classes.copy(), now.is_right.copy(), without(kind).is_there
        new[rows], right[rows], there[rows] = matches.true_classes[targets[rows]], True, True
        return replace(now, classes=new, is_right=right, is_there=there)

    def without_true(*gone: int) -> _Case:
        boxes = np.isin(fates, gone)
        return replace(now, totals=totals - np.bincount(matches.true_classes[boxes], minlength=width))

    base = value(now)

    def gain(case: _Case) -> float:
        return max(0.0, value(case) - base)

    return ErrorCosts(
        map50=base,
        wrong_class=gain(with_corrected(_WRONG_CLASS)),
        poor_box=gain(with_corrected(_POOR_BOX)),
        both=gain(without(_BOTH)),
        duplicate=gain(without(_DUPLICATE)),
        background=gain(without(_BACKGROUND)),
        missed=gain(without_true(FATES.index("missed"))),
        false_positives=gain(without(_WRONG_CLASS, _POOR_BOX, _BOTH, _DUPLICATE, _BACKGROUND)),
        false_negatives=gain(without_true(FATES.index("missed"), FATES.index("correctable"))),
    )


def _value(case: _Case, order: Ints, number: int) -> float:
    """The average precision of a class.

    If nothing is left to find, it is 1 where nothing is shown either, and 0 otherwise. tidecv takes 0 for
    both, so that a class of which everything is missed would cost nothing.
    """
    rows = order[(case.is_there & (case.classes == number))[order]]
    if not case.totals[number]:
        return 0.0 if len(rows) else 1.0
    return interpolated_precision(case.is_right[rows], int(case.totals[number]))
