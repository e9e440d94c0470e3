"""Average precision by size of object: COCO's three sizes, and thirds of the objects that are there.

Source of the rules: Lin et al. 2014, "Microsoft COCO: common objects in context", and its evaluation code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from regraft.detection.detectors.evaluated import Evaluated
from regraft.evaluation.average_precision import average_precision, mean_over_classes
from regraft.evaluation.boxes import Detections, Floats, TrueBoxes
from regraft.evaluation.detection_scores import DetectionScores
from regraft.evaluation.intervals.groups import number_of_groups
from regraft.evaluation.matching import IGNORED, IOUS, SIZES, WRONG, Matches, Size, match
from regraft.evaluation.resampling import percentile_interval
from regraft.records import Estimate

_BOUNDS: dict[Size, tuple[float, float]] = {
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, np.inf),
}
_THIRDS = ("smallest third", "middle third", "largest third")


@dataclass(frozen=True)
class SizeRow:
    """How well objects of some size are found."""

    name: str
    low_px: float
    """The side of a square of the smallest area; 0 for no bound."""
    high_px: float | None
    """The same of the largest area; None for no bound."""
    objects: int
    map: Estimate | None
    """Mean average precision over IoU .50 to .95; None without an object of this size."""
    map50: Estimate | None


def by_size(run: Evaluated, scores: DetectionScores) -> tuple[list[SizeRow], list[SizeRow]]:
    """Rows of COCO's sizes, and of thirds; without thirds where objects are too few or all of one size."""
    coco = [
        SizeRow(
            name,
            *_sides(*_BOUNDS[name]),
            int(run.matches.is_counted[place].sum()),
            getattr(scores, f"map_{name}"),
            _estimate(run.matches, run.counts, size=name, ious=IOUS[:1]),
        )
        for place, name in enumerate(SIZES[1:], start=1)
    ]
    areas = run.truth.areas[run.is_counted]
    if len(areas) < len(_THIRDS):
        return coco, []
    bounds = [-1.0, *np.quantile(areas, [1 / 3, 2 / 3]), np.inf]
    thirds = []
    for name, low, high in zip(_THIRDS, bounds[:-1], bounds[1:], strict=True):
        count = int(((areas > low) & (areas <= high)).sum())
        if not count:
            return coco, []
        part = matches_of_size(run.truth, run.found, run.matches, low, high)
        each = [_estimate(part, run.counts, size="all", ious=ious) for ious in (IOUS, IOUS[:1])]
        thirds.append(SizeRow(name, *_sides(low, high), count, *each))
    return coco, thirds


def matches_of_size(
    truth: TrueBoxes, found: Detections, matches: Matches, low: float, high: float
) -> Matches:
    """Matches in which only boxes with an area in (low, high] square pixels count, for the size `all`.

    As for COCO's sizes, a true box of another size may be taken if no other is available, and such a
    detection is not counted, nor is one that finds nothing and has itself another size.

    Args:
        truth: the true boxes.
        found: the detections.
        matches: of these two when boxes of all sizes count.
        low: the area in square pixels above which boxes count.
        high: the area up to which they count.
    """
    is_other = (truth.areas <= low) | (truth.areas > high)
    part = match(
        replace(truth, is_ignored=truth.is_ignored | is_other),
        found,
        images=matches.images,
        classes=matches.classes,
        groups=matches.groups,
    )
    sides = found.corners[part.order, 2:] - found.corners[part.order, :2]
    areas = sides[:, 0] * sides[:, 1]
    is_beyond = (areas <= low) | (areas > high)
    outcomes = part.outcomes.copy()
    outcomes[0] = np.where((outcomes[0] == WRONG) & is_beyond, IGNORED, outcomes[0])
    return replace(part, outcomes=outcomes)


def _sides(low: float, high: float) -> tuple[float, float | None]:
    """The sides of squares of two areas."""
    return float(np.sqrt(max(low, 0.0))), None if np.isinf(high) else float(np.sqrt(high))


def _estimate(matches: Matches, counts: Floats, *, size: Size, ious: Floats) -> Estimate | None:
    """Mean average precision over classes and overlaps, with its interval."""
    value, drawn = (
        mean_over_classes(average_precision(matches, draws, sizes=[size], ious=ious)[:, 0].mean(axis=1))
        for draws in (None, counts)
    )
    return (
        None
        if np.isnan(value[0])
        else percentile_interval(float(value[0]), drawn, number_of_groups(matches.groups))
    )
