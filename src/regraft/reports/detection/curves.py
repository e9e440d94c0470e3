"""Precision against recall for each class, with the band of a bootstrap over the pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regraft.detection.detectors.evaluated import Evaluated
from regraft.evaluation.average_precision import precision_curve
from regraft.evaluation.boxes import Floats
from regraft.evaluation.detection_scores import DetectedClass, DetectionScores

_MOST = 60


@dataclass(frozen=True)
class Curve:
    """The curve of one class at IoU .50, at the 101 `RECALLS`."""

    label: str
    scores: DetectedClass
    precision: Floats
    """`(101,)`, the largest precision at this recall or a higher one; 0 where it is not reached."""
    low: Floats
    """`(101,)`, the lower bound of the 95 % interval of each precision."""
    high: Floats

    @property
    def is_empty(self) -> bool:
        """Whether no object of the class is found at any threshold."""
        return not self.precision.any()


def curves(run: Evaluated, scores: DetectionScores) -> list[Curve]:
    """The curves of the classes that have a true box; of more than sixty, those with the lowest precision."""
    known = [number for number, one in enumerate(scores.classes) if one.map50 is not None]
    if len(known) > _MOST:
        known = sorted(known, key=lambda number: _ap(scores.classes[number]))[:_MOST]
    return [_curve(run, number, scores.classes[number]) for number in known]


def _ap(scores: DetectedClass) -> float:
    return scores.map50.value if scores.map50 else 0.0


def _curve(run: Evaluated, number: int, scores: DetectedClass) -> Curve:
    precision = precision_curve(run.matches, number)[0]
    drawn = precision_curve(run.matches, number, run.counts)
    drawn = drawn[~np.isnan(drawn[:, 0])]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0) if len(drawn) else (precision, precision)
    return Curve(
        run.names[number],
        scores,
        precision,
        np.minimum(low, precision),
        np.maximum(high, precision),
    )
