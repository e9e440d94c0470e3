"""Whether one of two detectors is better on the same images."""

from __future__ import annotations

from typing import Literal

import numpy as np

from regraft.errors import DataError
from regraft.evaluation.average_precision import average_precision, mean_over_classes
from regraft.evaluation.boxes import Floats
from regraft.evaluation.intervals.groups import number_of_groups
from regraft.evaluation.matching import IOUS, Matches
from regraft.evaluation.resampling import bootstrap_counts, percentile_interval
from regraft.records import Estimate, Record

Measure = Literal["map", "map50", "map75"]
_IOUS: dict[Measure, Floats] = {"map": IOUS, "map50": IOUS[:1], "map75": IOUS[5:6]}
DRAWS = 1_000
"""The number of bootstrap draws."""


class DetectorComparison(Record):
    """Comparison of two detectors on the same images."""

    images: int
    measure: Measure
    first: float
    second: float
    difference: Estimate
    """The measure of the first minus that of the second, with a 95 % interval by paired bootstrap."""
    chance_better: float
    """Share of the draws in which the first is better, those in which both are equal counted half."""

    @property
    def differs(self) -> bool:
        """Whether the difference is significant at the 5 % level: zero is outside its interval."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


def compare_detectors(
    first: Matches, second: Matches, *, measure: Measure = "map", seed: int = 0, draws: int = DRAWS
) -> DetectorComparison:
    """Compare two detectors by drawing the same images for both.

    An image that is hard is hard for both, so the interval of the difference is narrower than those of its
    two parts. Mean average precision is no mean over images, so it has no sign-flip test as in
    `evaluation.paired`; the share of draws in which the first is better takes its place. It is the
    probability that the first is better, given the images and no other knowledge (Efron & Tibshirani 1993,
    section 24; Rubin 1981). With few images it is too certain: a prior about differences belongs on top.

    Args:
        first: matches of the first detector; its groups of images are drawn as a whole.
        second: matches of the second one with the same true boxes.
        measure: what is compared; `map` is the mean over IoU .50 to .95.
        seed: random seed of the bootstrap.
        draws: the number of bootstrap draws.

    Raises:
        DataError: the true boxes are not the same, or there are none that count.

    >>> from regraft.evaluation.boxes import detections, true_boxes
    >>> from regraft.evaluation.matching import match
    >>> boxes = [[0, 0, 10, 10]] * 20
    >>> truth = true_boxes(np.arange(20), [0] * 20, boxes)
    >>> one, other = (detections(np.arange(n), [0] * n, boxes[:n], [0.9] * n) for n in (20, 15))
    >>> result = compare_detectors(*(match(truth, each, images=20, classes=1) for each in (one, other)))
    >>> round(result.difference.value, 3), result.chance_better > 0.98, result.differs
    (0.248, True, True)
    """
    _check(first, second)
    values = [float(_mean(each, None, measure)[0]) for each in (first, second)]
    drawn = []
    for counts in bootstrap_counts(first.images, draws=draws, seed=seed, groups=first.groups):
        drawn.append(_mean(first, counts, measure) - _mean(second, counts, measure))
    differences = np.concatenate(drawn)
    known = differences[~np.isnan(differences)]
    return DetectorComparison(
        images=first.images,
        measure=measure,
        first=values[0],
        second=values[1],
        difference=percentile_interval(values[0] - values[1], known, number_of_groups(first.groups)),
        chance_better=float(np.mean((known > 0) + 0.5 * (known == 0))),
    )


def _mean(matches: Matches, counts: Floats | None, measure: Measure) -> Floats:
    values = average_precision(matches, counts, sizes=["all"], ious=_IOUS[measure])
    return mean_over_classes(values[:, 0].mean(axis=1))


def _check(first: Matches, second: Matches) -> None:
    for name in ("true_images", "true_classes", "is_counted"):
        if not np.array_equal(getattr(first, name), getattr(second, name)):
            raise DataError(
                f"the two detectors were matched with different true boxes: {name} differs "
                f"({len(first.true_images)} and {len(second.true_images)} boxes); match both with the same"
            )
    if (first.images, first.classes) != (second.images, second.classes):
        raise DataError(
            f"the two detectors were matched on {first.images} and {second.images} images of {first.classes} "
            f"and {second.classes} classes; match both on the same ones"
        )
    if not first.is_counted[0].any():
        raise DataError("no true box counts, so there is nothing to compare")
