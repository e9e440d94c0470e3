"""From which probability on boxes of each class are shown: chosen on pictures, or given by the user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from regraft.arguments import described
from regraft.detection.annotations.classes import check_class, named_classes
from regraft.detection.detectors.records import ClassGoal, GoalSheet
from regraft.errors import SettingsError
from regraft.evaluation.boxes import Floats
from regraft.evaluation.detection_scores import DetectionScores
from regraft.evaluation.matching import Matches
from regraft.evaluation.operating_points import f1_threshold, goal_threshold
from regraft.goal import Goal
from regraft.records import Estimate
from regraft.storage.tables import printable

FEW_BOXES = 20
"""A class with fewer boxes than this shares its threshold with all classes."""
LEAST_PROBABILITY = 0.01
"""Boxes that are less probable are not listed, so no threshold is lower."""


def chosen_thresholds(matches: Matches, goal: Goal | None = None) -> Floats:
    """The threshold of each class; rare classes take that of all classes together.

    Args:
        matches: what each box is that was found in pictures that the detector was not fitted on.
        goal: the share that each class must reach; None means the largest F1.

    Returns:
        `(K,) float64`, from 0.01 to 1.
    """

    def chosen(number: int | None = None) -> float:
        return f1_threshold(matches, number) if goal is None else goal_threshold(matches, goal, number)

    shared = chosen()
    counts = np.bincount(matches.true_classes[matches.is_counted[0]], minlength=matches.classes)
    each = [chosen(number) if count >= FEW_BOXES else shared for number, count in enumerate(counts)]
    thresholds: Floats = np.clip(np.array(each), LEAST_PROBABILITY, 1.0)
    return thresholds


def shown_from(
    labels: Sequence[str],
    own: Sequence[float],
    *,
    threshold: float | Mapping[str, float] | None = None,
    classes: Sequence[str] | None = None,
) -> Floats:
    """The probability from which on boxes of each class are shown; infinite for classes that are not shown.

    Args:
        labels: the K classes of a detector.
        own: the detector's own thresholds, `(K,)`.
        threshold: one for all classes, or those of some classes by label; the others keep their own.
        classes: the labels of the classes that are shown; None means all.

    Returns:
        `(K,) float64`.

    Raises:
        SettingsError: a threshold is not a probability, or a label is not a class.

    >>> shown_from(["RBC", "WBC"], [0.4, 0.5], threshold={"WBC": 0.9}).tolist()
    [0.4, 0.9]
    """
    least = np.array(own, dtype=np.float64)
    if isinstance(threshold, Mapping):
        for label, value in threshold.items():
            check_class("threshold", label, labels)
            least[list(labels).index(label)] = _probability(value, f"threshold of {label}")
    elif threshold is not None:
        least[:] = _probability(threshold, "threshold")
    if classes is not None:
        if isinstance(classes, str) or not all(isinstance(one, str) for one in classes):
            raise SettingsError(f"classes is {described(classes)}; accepted are None and a list of labels")
        names = named_classes(classes, labels)
        least[[label not in names for label in labels]] = np.inf
    return least


def _probability(value: object, name: str) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and 0 <= value <= 1):  # type: ignore[operator]
        raise SettingsError(
            f"{name} is {described(value)}; expected a probability from 0 to 1, or None for the detector's "
            "own thresholds"
        )
    return float(value)  # type: ignore[arg-type]


def goal_sheet(goal: Goal, scores: DetectionScores) -> GoalSheet:
    """What each class reaches of a goal.

    Args:
        goal: what the thresholds were chosen for.
        scores: those of the pictures on which they were chosen.
    """
    classes = []
    for one in scores.classes:
        reached: Estimate | None = getattr(one.point, goal.measure)
        is_reached = reached is not None and reached.value >= goal.value - 1e-9
        classes.append(
            ClassGoal(
                label=one.label,
                threshold=one.point.threshold or 0.0,
                true_boxes=one.true_boxes,
                reached=reached,
                is_reached=is_reached,
            )
        )
    return GoalSheet(measure=goal.measure, value=goal.value, images=scores.images, classes=tuple(classes))


def goal_remarks(sheet: GoalSheet) -> Iterator[tuple[bool, str]]:
    """What to tell about a goal: whether it is good news, and the sentence."""
    goal = f"{sheet.measure}={sheet.value:g}"
    done = [one for one in sheet.classes if one.is_reached]
    if done:
        listed = ", ".join(f"{printable(one.label)} {_share(one.reached)}" for one in done)
        yield True, f"thresholds reach {goal} on {sheet.images:,} pictures not trained on: {listed}"
    for one in (one for one in sheet.classes if not one.is_reached):
        where = f"class {printable(one.label)} on {sheet.images:,} pictures not trained on"
        if one.true_boxes < FEW_BOXES:
            how = f"{_share(one.reached)} at the threshold of all classes, which those with few boxes share"
            yield False, f"{goal} is not reached for {where}, with {one.true_boxes} boxes: {how}"
        else:
            yield (
                False,
                f"{goal} can't be reached for {where}: the best is {_share(one.reached)}, and used",
            )


def _share(estimate: Estimate | None) -> str:
    if estimate is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
