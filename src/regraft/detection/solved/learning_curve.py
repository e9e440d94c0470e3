"""What more pictures would bring: average precision of grids solved on some of the folds, extended by a law.

A grid's sums are kept by fold, so that grids of one, two or four folds need no picture again. Each is
evaluated on a fold that none of its pictures is in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from regraft.advice.learning_curve import gain_from_errors
from regraft.detection.maps.judging import matched
from regraft.detection.maps.projected import ProjectedMaps
from regraft.detection.maps.scenes import Scene
from regraft.detection.solved.grid import GridFit, grid_found
from regraft.errors import DataError
from regraft.evaluation.average_precision import average_precision, mean_over_classes
from regraft.evaluation.detection_scores import DetectionCurve, DetectionCurvePoint
from regraft.evaluation.intervals.groups import number_of_groups
from regraft.evaluation.matching import IOUS, Matches
from regraft.evaluation.resampling import bootstrap_counts, percentile_interval

Floats = npt.NDArray[np.float64]
FOLDS = 5
_COUNTS = (1, 2, 4)  # of the four folds that remain
_PICTURES, _DRAWS = 100, 200
_LEAST_PICTURES = 40


def grid_curve(
    fit: GridFit, maps: ProjectedMaps, scenes: Sequence[Scene], classes: int, *, seed: int
) -> DetectionCurve | None:
    """The learning curve of a grid; None where too few pictures or folds would draw one.

    Args:
        fit: the grid, with its sums.
        maps: components of the training pictures' maps.
        scenes: the training pictures, with their folds.
        classes: number of classes.
        seed: random seed of the bootstrap.
    """
    if fit.sums is None or len(fit.by_fold) != FOLDS or len(scenes) < _LEAST_PICTURES:
        return None
    sample = scenes[:: max(1, len(scenes) // _PICTURES)]
    try:
        several = [[fit.sums.grid(fit.strengths, _others(fold, count)) for fold in range(FOLDS)]
                   for count in _COUNTS]  # fmt: skip
    except DataError:  # a fold has no boxes
        return None
    found = [matched(grid_found(grids, maps, sample), sample, classes) for grids in several]
    values = np.array([_map50(one, None)[0] for one in found])
    groups = found[0].groups
    counts = np.concatenate([*bootstrap_counts(len(sample), draws=_DRAWS, seed=seed, groups=groups)])
    drawn = np.array([_map50(one, counts) for one in found])
    drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]
    if np.isnan(values).any() or not drawn.size:
        return None
    number = number_of_groups(groups)
    sizes = [max(1, round(len(scenes) * count / FOLDS)) for count in _COUNTS]
    return DetectionCurve(
        points=tuple(
            DetectionCurvePoint(pictures=size, map50=percentile_interval(float(value), draws, number))
            for size, value, draws in zip(sizes, values, drawn, strict=True)
        ),
        doubling_gain=gain_from_errors(sizes, 1 - values, 1 - drawn, number),
    )


def _others(fold: int, count: int) -> tuple[int, ...]:
    """The next folds after one, in order."""
    return tuple(sorted((fold + 1 + step) % FOLDS for step in range(count)))


def _map50(matches: Matches, counts: Floats | None) -> Floats:
    values = average_precision(matches, counts, sizes=["all"], ious=IOUS[:1])
    return mean_over_classes(values[:, 0, 0])
