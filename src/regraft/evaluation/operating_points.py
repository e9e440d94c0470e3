"""Which detections are shown: precision, recall and F1 from a score on, and how that score is chosen.

A detector is used at one threshold, while average precision is about all of them. What a detection is does
not depend on those with smaller scores, so leaving these out changes nothing for the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regraft.evaluation.average_precision import levels, true_counts
from regraft.evaluation.boxes import Floats, Ints
from regraft.evaluation.intervals.groups import number_of_groups
from regraft.evaluation.matching import IGNORED, RIGHT, WRONG, Matches
from regraft.evaluation.resampling import bounded_interval
from regraft.goal import Goal
from regraft.records import Estimate, Record


class OperatingPoint(Record):
    """What is found, and what is shown without being there, at a threshold, at IoU .50 as a rule."""

    threshold: float | None
    """The score from which on detections are shown; None for classes with different thresholds."""
    right: int
    """Number of detections that find a true box."""
    wrong: int
    """Number of those that find none."""
    missed: int
    """Number of true boxes that no detection finds."""
    precision: Estimate | None
    """Share of the detections that are right; None, not defined, if nothing is shown."""
    recall: Estimate | None
    """Share of the true boxes that are found; None if there are none."""
    f1: Estimate | None
    """Harmonic mean of precision and recall; None if there is neither a detection nor a true box."""


def operating_points(
    matches: Matches, thresholds: Floats, counts: Floats, *, iou: float = 0.5
) -> tuple[OperatingPoint, tuple[OperatingPoint, ...]]:
    """Precision, recall and F1 of all classes together, and of each class.

    Args:
        matches: what each detection is.
        thresholds: the score from which on detections of each class are shown, `(K,)`.
        counts: the draws of the bootstrap, `(B, images)`, of whole groups if the matches have groups.
        iou: the overlap from which on a true box counts as found, one of `IOUS`.
    """
    (level,) = levels(iou)
    numbers = range(matches.classes)
    tallies = np.array([_tally(matches, number, float(thresholds[number]), level) for number in numbers])
    tallies = tallies.reshape(matches.classes, 3, matches.images)
    each = tuple(
        _point(tally, counts, float(threshold), matches)
        for tally, threshold in zip(tallies, thresholds, strict=True)
    )
    shared = float(thresholds[0]) if len(np.unique(thresholds)) == 1 else None
    return _point(tallies.sum(axis=0), counts, shared, matches), each


def f1_threshold(matches: Matches, number: int | None = None, *, iou: float = 0.5) -> float:
    """The threshold with the largest F1.

    It is in the middle between two neighbouring scores. Of thresholds with equal F1, the highest is taken.
    The images must not be those that the detector was fitted on, since scores there are too high.

    Args:
        matches: what each detection is.
        number: the number of a class; None for one threshold for all classes.
        iou: the overlap from which on a true box counts as found, one of `IOUS`.

    Returns:
        The threshold; 0.5 if F1 is not above zero anywhere.

    >>> from regraft.evaluation.boxes import detections, true_boxes
    >>> from regraft.evaluation.matching import match
    >>> box, far = [0, 0, 10, 10], [50, 50, 60, 60]
    >>> found = detections([0, 0, 1, 1], [0] * 4, [box, far, box, far], [0.9, 0.8, 0.7, 0.2])
    >>> matches = match(true_boxes([0, 1], [0, 0], [box, box]), found, images=2, classes=1)
    >>> round(f1_threshold(matches), 3), round(goal_threshold(matches, Goal("recall", 0.5)), 3)
    (0.45, 0.85)
    """
    steps = _steps(matches, number, iou)
    f1 = 2 * steps.right / np.maximum(steps.right + steps.wrong + steps.total, 1)
    return float(steps.thresholds[f1.argmax()]) if len(f1) and f1.max() > 0 else 0.5


def goal_threshold(matches: Matches, goal: Goal, number: int | None = None, *, iou: float = 0.5) -> float:
    """The most useful threshold that meets a goal.

    With a goal for recall, it is the one with the highest precision among those at which enough is found,
    as a rule the largest of them; with a goal for precision, the one with the highest recall among those at
    which enough is right. Of equal ones, the highest is taken. Where the goal can't be reached, the threshold
    with the highest value of the goal's measure is taken. The images must not be those that the detector was
    fitted on.

    Args:
        matches: what each detection is.
        goal: the share that is to be reached.
        number: the number of a class; None for one threshold for all classes.
        iou: the overlap from which on a true box counts as found, one of `IOUS`.

    Returns:
        The threshold; 0.5 if there is neither a detection nor, for recall, a true box.
    """
    steps = _steps(matches, number, iou)
    if not len(steps.thresholds) or (goal.measure == "recall" and not steps.total):
        return 0.5
    recall = steps.right / max(steps.total, 1)
    precision = steps.right / np.maximum(steps.right + steps.wrong, 1)
    wanted, other = (recall, precision) if goal.measure == "recall" else (precision, recall)
    reached = min(goal.value, float(wanted.max())) - 1e-9
    order = np.lexsort((steps.thresholds, wanted, other, wanted >= reached))
    return float(steps.thresholds[order[-1]])


@dataclass(frozen=True)
class _Steps:
    """All thresholds that differ, the highest first, and what is shown from each of them on."""

    thresholds: Floats
    right: Ints
    wrong: Ints
    total: int
    """The number of true boxes."""


def _steps(matches: Matches, number: int | None, iou: float) -> _Steps:
    (level,) = levels(iou)
    rows = slice(None) if number is None else matches.rows(number)
    numbers = range(matches.classes) if number is None else [number]
    outcome, scores = matches.outcomes[0, level, rows], matches.scores[rows]
    order = np.argsort(-scores[outcome != IGNORED], kind="stable")
    scores, outcome = scores[outcome != IGNORED][order], outcome[outcome != IGNORED][order]
    is_last = np.append(scores[1:] < scores[:-1], np.ones(min(len(scores), 1), bool))
    return _Steps(
        thresholds=_middles(scores[is_last]),
        right=np.cumsum(outcome == RIGHT)[is_last],
        wrong=np.cumsum(outcome == WRONG)[is_last],
        total=int(sum(true_counts(matches, each, ["all"]).sum() for each in numbers)),
    )


def _middles(scores: Floats) -> Floats:
    """Thresholds in the middle between each score and the next lower one, which is 0 for the last.

    >>> _middles(np.array([0.75, 0.5, 0.25]))
    array([0.625, 0.375, 0.125])
    """
    lower = np.append(scores[1:], min(0.0, float(scores[-1])) if len(scores) else [])
    middles = (scores + lower) / 2
    return np.where(middles > lower, middles, scores)


def _tally(matches: Matches, number: int, threshold: float, level: int) -> Floats:
    """Right and wrong detections and true boxes of a class in each image, `(3, images)`."""
    rows = matches.rows(number)
    outcome = matches.outcomes[0, level, rows]
    is_shown = matches.scores[rows] >= threshold
    shown = [
        np.bincount(matches.image[rows][is_shown & (outcome == kind)], minlength=matches.images)
        for kind in (RIGHT, WRONG)
    ]
    return np.array([*shown, true_counts(matches, number, ["all"])[0]])


def _point(tally: Floats, counts: Floats, threshold: float | None, matches: Matches) -> OperatingPoint:
    right, wrong, total = tally

    def share(part: Floats, whole: Floats) -> Estimate | None:
        """The share of one count in another, `(images,)` each; None if there is nothing to count."""
        if not whole.sum():
            return None
        drawn = whole @ counts.T
        draws = part @ counts.T / np.where(drawn > 0, drawn, np.nan)
        units = len(np.unique(matches.units[whole > 0]))
        value = float(part.sum() / whole.sum())
        return bounded_interval(value, draws, units, number_of_groups(matches.groups))

    return OperatingPoint(
        threshold=threshold,
        right=int(right.sum()),
        wrong=int(wrong.sum()),
        missed=int((total - right).sum()),
        precision=share(right, right + wrong),
        recall=share(right, total),
        f1=share(2 * right, right + wrong + total),
    )
