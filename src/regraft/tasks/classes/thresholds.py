"""From which probability on an image is called positive: the threshold that reaches a goal."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.goal import Goal

Floats = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]

OTHERS = {
    "sensitivity": "specificity",
    "specificity": "sensitivity",
    "ppv": "sensitivity",
    "npv": "specificity",
}
"""What is made as large as it can be where the goal's own rate is reached."""


def goal_threshold(chances: Floats, present: Bools, goal: Goal) -> float:
    """The most useful threshold that meets a goal; an image is called positive from it on.

    Among the thresholds at which the goal's rate is reached, it is the one with the highest other rate: the
    specificity for sensitivity and NPV, the sensitivity for specificity and PPV; of equal ones the one with
    the higher rate of the goal, then the highest. Where the goal can't be reached, its rate is made as large
    as it can be. A threshold is in the middle between two neighbouring probabilities.

    The probabilities must be of images that the model was not fitted on: on others, they are too certain.

    Args:
        chances: `(N,)`, the probability that each image is positive.
        present: `(N,)`, whether it is.
        goal: the share that is to be reached.

    Returns:
        The threshold; 0.5 if all images are positive, or none is.

    >>> chances, present = np.array([0.1, 0.3, 0.4, 0.8]), np.array([False, True, False, True])
    >>> [round(goal_threshold(chances, present, Goal.parse(text)), 3) for text in ("recall=1", "ppv=0.9")]
    [0.2, 0.6]
    """
    positives = int(present.sum())
    negatives = len(present) - positives
    if not positives or not negatives:
        return 0.5
    thresholds, found, alarms = _steps(chances, present)
    rates = {
        "sensitivity": found / positives,
        "specificity": 1 - alarms / negatives,
        "ppv": _shares(found, found + alarms),
        "npv": _shares(negatives - alarms, len(present) - found - alarms),
    }
    wanted, other = rates[goal.rate], rates[OTHERS[goal.rate]]
    reached = min(goal.value, float(wanted.max())) - 1e-9
    order = np.lexsort((thresholds, wanted, other, wanted >= reached))
    return float(thresholds[order[-1]])


def _steps(chances: Floats, present: Bools) -> tuple[Floats, Floats, Floats]:
    """All thresholds that differ, the highest first, and the positive and negative images from each on.

    The first calls no image positive, the last all.
    """
    order = np.argsort(-chances, kind="stable")
    sorted_chances, having = chances[order].astype(np.float64), present[order]
    ends = np.flatnonzero(np.append(sorted_chances[1:] < sorted_chances[:-1], True))
    values = sorted_chances[ends]
    first = (1 + values[0]) / 2 if values[0] < 1 else np.nextafter(values[0], 2)
    middles = (values[:-1] + values[1:]) / 2
    thresholds = np.concatenate([[first], np.where(middles > values[1:], middles, values[:-1]), [0.0]])
    return (
        thresholds,
        np.append(0, np.cumsum(having)[ends]).astype(np.float64),
        np.append(0, np.cumsum(~having)[ends]).astype(np.float64),
    )


def _shares(parts: Floats, whole: Floats) -> Floats:
    """Shares; minus 1, less than any goal, where there is nothing that a share could be of."""
    shares: Floats = np.divide(parts, whole, out=np.full(len(parts), -1.0), where=whole > 0)
    return shares
