"""The detectors that a ladder compares, and the rule by which one is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np

from regraft.detection.detectors.finders import Finder
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.detection.maps.found import Found
from regraft.detection.maps.judging import matched
from regraft.detection.maps.scenes import Scene
from regraft.evaluation.average_precision import average_precision, mean_over_classes
from regraft.evaluation.boxes import Floats
from regraft.evaluation.intervals.groups import number_of_groups
from regraft.evaluation.matching import IOUS, Matches
from regraft.evaluation.paired_detectors import DetectorComparison, compare_detectors
from regraft.evaluation.resampling import bootstrap_counts, percentile_interval
from regraft.networks.weights.finding import Weights
from regraft.progress import Reporter
from regraft.records import Estimate
from regraft.training.history import History

SOLVED_AT, TRAINED_AT = 0.9, 0.75
"""The least probability of being better with which a solved, and a trained detector is kept."""
SOLVED_SCALE, TRAINED_SCALE = 0.05, 0.10
"""Prior standard deviation of the true difference in mean average precision."""
_DRAWS, _BATCH = 200, 16


@dataclass(frozen=True)
class Contender:
    """A detector that may become the result, with what it found in pictures that it was not fitted on."""

    name: str
    finder: Finder
    scenes: tuple[Scene, ...]
    """The pictures that it is evaluated on."""
    found: tuple[Found, ...]
    """What it found in each of them; the scores are not calibrated."""
    method: str
    """How it was evaluated, in words."""
    history: History | None = None
    lineage: tuple[str, ...] = ()
    maps: CachedMaps | None = None
    """The maps of its own network; None if it reads those of the network as it was."""
    weights: Weights | None = None
    """Its own network; None if this is the network as it was."""

    def matches(self, classes: int, keys: Sequence[str] | None = None) -> Matches:
        """Which of the found boxes are right, in some of the pictures, or in all of them."""
        if keys is None:
            return matched(self.found, self.scenes, classes)
        place = {scene.key: number for number, scene in enumerate(self.scenes)}
        chosen = [place[key] for key in keys]
        return matched([self.found[n] for n in chosen], [self.scenes[n] for n in chosen], classes)


def found_in(
    finder: Finder, scenes: Sequence[Scene], maps: CachedMaps, reporter: Reporter
) -> tuple[Found, ...]:
    """What is found in pictures, from their maps."""
    rows = maps.rows([one.key for one in scenes], reporter=reporter)
    found: list[Found] = []
    for start in range(0, len(scenes), _BATCH):
        some = scenes[start : start + _BATCH]
        found += finder.found(rows.gather([one.key for one in some]), [one.placement for one in some])
    return tuple(found)


def compared(challenger: Contender, holder: Contender, classes: int, *, seed: int) -> DetectorComparison:
    """Compare the mean average precision of two contenders on the pictures that both know."""
    known = {scene.key for scene in holder.scenes}
    keys = [scene.key for scene in challenger.scenes if scene.key in known]
    both = challenger.matches(classes, keys), holder.matches(classes, keys)
    return compare_detectors(*both, measure="map", seed=seed)


def chance_better(comparison: DetectorComparison, scale: float) -> float:
    """Probability that the first detector is better, after a sceptical prior about the difference.

    The difference is normal around zero a priori, and its measurement is normal around the truth with the
    bootstrap's standard error (Spiegelhalter et al. 1994, "Bayesian approaches to randomized trials").

    Args:
        comparison: the two detectors on the same pictures.
        scale: prior standard deviation of the difference.

    >>> difference = Estimate(value=0.05, low=0.0108, high=0.0892)
    >>> comparison = DetectorComparison(
    ...     images=50, measure="map", first=0.5, second=0.45, difference=difference, chance_better=0.99
    ... )
    >>> round(chance_better(comparison, 0.05), 3)
    0.99
    """
    difference = comparison.difference
    if difference.low is None or difference.high is None:
        return 0.5
    error = max((difference.high - difference.low) / (2 * 1.96), 1e-6)
    ratio = difference.value * scale / (error * sqrt(scale**2 + error**2))
    return 0.5 * (1 + erf(ratio / sqrt(2)))


def map50_estimate(matches: Matches, *, seed: int) -> Estimate | None:
    """Mean average precision at IoU .50 with a 95 % interval; None if no picture has a true box."""
    value = float(_means(matches, None)[0])
    if np.isnan(value):
        return None
    groups = matches.groups
    draws = bootstrap_counts(matches.images, draws=_DRAWS, seed=seed, groups=groups)
    drawn = np.concatenate([_means(matches, counts) for counts in draws])
    return percentile_interval(value, drawn, number_of_groups(groups))


def _means(matches: Matches, counts: Floats | None) -> Floats:
    values = average_precision(matches, counts, sizes=["all"], ious=IOUS[:1])
    return mean_over_classes(values[:, 0, 0])
