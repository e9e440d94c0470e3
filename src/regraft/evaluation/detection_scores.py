"""The scores of a detector with 95 % intervals, all together and for each class; pure functions to records.

Intervals are percentile bootstraps over the images (Efron 1979): the detections of an image stay together,
since they are not independent. Where images belong together, whole groups of them are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regraft.evaluation.average_precision import average_precision, levels, mean_over_classes, recall
from regraft.evaluation.boxes import Floats
from regraft.evaluation.intervals.groups import by_group, number_of_groups
from regraft.evaluation.matching import MOST_DETECTIONS, SIZES, Matches, Size
from regraft.evaluation.operating_points import OperatingPoint, operating_points
from regraft.evaluation.resampling import bootstrap_counts, bounded_interval
from regraft.records import Estimate, Record

DRAWS = 1_000
"""The number of bootstrap draws."""
_LEAST_GAIN = 0.005


class DetectedClass(Record):
    """The scores of one class."""

    label: str
    true_boxes: int
    """Number of true boxes that count."""
    map: Estimate | None
    """Average precision, mean over IoU .50 to .95; None if the class has no true box."""
    map50: Estimate | None
    map75: Estimate | None
    point: OperatingPoint
    """Precision, recall and F1 at the threshold of the class."""


class DetectionScores(Record):
    """The scores of one set of detections, as COCO names them; None where no true box has the size."""

    images: int
    method: str
    map: Estimate | None
    """Mean average precision over classes and over IoU .50 to .95."""
    map50: Estimate | None
    map75: Estimate | None
    map_small: Estimate | None
    """The same as `map` for true boxes of up to 32 x 32 pixels."""
    map_medium: Estimate | None
    """Those of up to 96 x 96 pixels."""
    map_large: Estimate | None
    recall_1: Estimate | None
    """COCO's average recall with at most one detection for each image and class."""
    recall_10: Estimate | None
    recall_100: Estimate | None
    recall_small: Estimate | None
    recall_medium: Estimate | None
    recall_large: Estimate | None
    point: OperatingPoint
    """Precision, recall and F1 of all classes together, each at its threshold."""
    classes: tuple[DetectedClass, ...]


class DetectionCurvePoint(Record):
    """The average precision of a grid that was solved on a number of pictures, on other pictures."""

    pictures: int
    map50: Estimate


class DetectionCurve(Record):
    """The measured points, and the gain that is expected from twice as many pictures."""

    points: tuple[DetectionCurvePoint, ...]
    doubling_gain: Estimate
    """Expected gain of the grid's mAP50, as a share."""

    @property
    def sentence(self) -> str:
        """What more pictures would bring, without a full stop.

        >>> points = (DetectionCurvePoint(pictures=40, map50=Estimate(value=0.5)),)
        >>> gain = Estimate(value=0.031, low=0.01, high=0.052)
        >>> DetectionCurve(points=points, doubling_gain=gain).sentence.partition(" to ")[0]
        'twice as many pictures would add 3.1 points [1.0, 5.2]'
        """
        gain = self.doubling_gain
        if gain.value < _LEAST_GAIN:
            return "twice as many pictures would hardly make the grid better (from its learning curve)"
        bounds = (
            ""
            if gain.low is None or gain.high is None
            else (f" [{100 * gain.low:.1f}, {100 * gain.high:.1f}]")
        )
        return (
            f"twice as many pictures would add {100 * gain.value:.1f} points{bounds} to the AP50 of the grid "
            "(from its learning curve)"
        )


def score_detections(
    matches: Matches,
    labels: Sequence[str],
    thresholds: Floats,
    *,
    method: str,
    seed: int = 0,
    draws: int = DRAWS,
) -> DetectionScores:
    """All scores of one set of detections.

    In a draw, the mean is over the classes that have a true box in it, as it is for the images themselves.

    Args:
        matches: what each detection is.
        labels: names of the K classes.
        thresholds: the score from which on a detection of each class is shown, `(K,)`.
        method: how the detections were made, in words; kept in the record.
        seed: random seed of the bootstrap.
        draws: the number of bootstrap draws.

    >>> from regraft.evaluation.boxes import detections, true_boxes
    >>> from regraft.evaluation.matching import match
    >>> truth = true_boxes([0, 1], [0, 0], [[0, 0, 10, 10], [0, 0, 10, 10]])
    >>> found = detections([0, 1], [0, 0], [[0, 0, 10, 10], [0, 0, 10, 6]], [0.9, 0.8])
    >>> matches = match(truth, found, images=2, classes=1)
    >>> scores = score_detections(matches, ["cell"], np.array([0.5]), method="test")
    >>> scores.map50.value, round(scores.map.value, 3), scores.map_large
    (1.0, 0.653, None)
    """
    groups, number_drawn = matches.groups, number_of_groups(matches.groups)
    counts = np.concatenate(list(bootstrap_counts(matches.images, draws=draws, seed=seed, groups=groups)))
    every, drawn = _tables(matches, None), _tables(matches, counts)
    units = [_units(matches, None, size) for size in SIZES]
    means = {
        name: _estimate(float(_mean(every[name])[0]), _mean(drawn[name]), units[_size(name)], number_drawn)
        for name in every
    }
    together, points = operating_points(matches, thresholds, counts)
    return DetectionScores(
        images=matches.images,
        method=by_group(method, groups),
        point=together,
        classes=tuple(
            DetectedClass(
                label=label,
                true_boxes=points[number].right + points[number].missed,
                point=points[number],
                **{
                    name: _estimate(
                        float(every[name][0, number]),
                        drawn[name][:, number],
                        _units(matches, number),
                        number_drawn,
                    )
                    for name in ("map", "map50", "map75")
                },
            )
            for number, label in enumerate(labels)
        ),
        **means,
    )


def _tables(matches: Matches, counts: Floats | None) -> dict[str, Floats]:
    """Each score by draw and class, `(B, K)`."""
    precision = average_precision(matches, counts)
    share = recall(matches, counts).mean(axis=3)
    by_size = enumerate(SIZES[1:], start=1)
    at_50, at_75 = levels([0.5, 0.75])
    return {
        "map": precision[:, 0].mean(axis=1),
        "map50": precision[:, 0, at_50],
        "map75": precision[:, 0, at_75],
        **{f"recall_{most}": share[:, place, 0] for place, most in enumerate(MOST_DETECTIONS)},
        **{
            name: value
            for place, size in by_size
            for name, value in (
                (f"map_{size}", precision[:, place].mean(axis=1)),
                (f"recall_{size}", share[:, -1, place]),
            )
        },
    }


def _mean(table: Floats) -> Floats:
    return mean_over_classes(table)


def _units(matches: Matches, number: int | None, size: Size = "all") -> int:
    """In how many images, or groups, there are true boxes of a class and size; None means any class."""
    is_counted = matches.is_counted[SIZES.index(size)]
    is_own = is_counted if number is None else is_counted & (matches.true_classes == number)
    return len(np.unique(matches.units[matches.true_images[is_own]]))


def _size(name: str) -> int:
    """The place among `SIZES` of the range that a score is about; the first for those of all boxes."""
    ending = name.rpartition("_")[2]
    return next((place for place, size in enumerate(SIZES) if size == ending), 0)


def _estimate(value: float, drawn: Floats, units: int, groups: int | None) -> Estimate | None:
    return None if np.isnan(value) else bounded_interval(value, drawn, units, groups)
