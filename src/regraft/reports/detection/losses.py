"""What is lost by each kind of error: average precision, and boxes at the threshold."""

from __future__ import annotations

from dataclasses import dataclass

from regraft.detection.detectors.evaluated import Evaluated
from regraft.evaluation.detection_errors import FATES, KINDS

_MEANINGS = {
    "wrong class": "the box is right, its class is not",
    "poor box": "the class is right, but the box overlaps the object by less than half",
    "both": "a poor box of a wrong class",
    "duplicate": "one more box around an object that has been found",
    "background": "nothing of this kind is annotated there",
    "missed": "an object without a box, not even one of another kind of error",
}
MISTAKES = tuple(_MEANINGS)
"""The kinds of error, in the order in which they are listed."""


@dataclass(frozen=True)
class Loss:
    """What one kind of error costs."""

    kind: str
    meaning: str
    cost: float | None
    """Mean AP at IoU .50 that would be gained without it; None if there is no object."""
    count: int
    """Number of boxes that are shown, or of objects that are missed, at the threshold."""


def losses(run: Evaluated) -> list[Loss]:
    """A row for each kind of error, one for all wrong boxes, and one for all objects that are not found."""
    costs, shown = run.errors.costs, run.shown_errors
    rows = []
    for kind, meaning in _MEANINGS.items():
        count = shown.missed if kind == "missed" else int((shown.kinds == _number(kind)).sum())
        cost = getattr(costs, kind.replace(" ", "_")) if costs else None
        rows.append(Loss(kind, meaning, cost, count))
    wrong = sum(row.count for row in rows if row.kind != "missed")
    lost = shown.missed + int((shown.fates == FATES.index("correctable")).sum())
    return [
        *rows,
        Loss("all wrong boxes", "", costs.false_positives if costs else None, wrong),
        Loss("all objects not found", "", costs.false_negatives if costs else None, lost),
    ]


def _number(kind: str) -> int:
    return [str(one) for one in KINDS].index(kind)
