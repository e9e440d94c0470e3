"""From a detector's scores to probabilities that a box is right.

Logistic regression of whether a box finds an object (IoU at least .50) on its score, with one slope and an
intercept for each class (Platt 1999; Küppers et al. 2020 for detectors). It is increasing within a class, so
that average precision stays the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.detection.maps.found import Found
from regraft.evaluation.matching import IGNORED, RIGHT, Matches
from regraft.records import Record

_STEPS = 50
# Of the squared coefficients, as if other boxes had been seen. Of intercepts: they exist where all boxes
# are right. Of the slope: a few boxes that scores tell apart don't make all probabilities 0 and 1.
_PRIOR, _SLOPE_PRIOR = 1e-3, 1.0
EDGE = 1e-6
"""Scores nearer to 0 or 1 are taken as this near."""
_LEAST_SLOPE = 0.05


class Calibration(Record):
    """How scores become probabilities."""

    slope: float = 1.0
    """What the logarithm of the odds that the score stands for is multiplied by; above 0."""
    intercepts: tuple[float, ...]
    """For each class."""

    def of(self, found: Found) -> Found:
        """The same boxes with probabilities as scores."""
        odds = self.slope * _odds(found.scores) + np.asarray(self.intercepts)[found.classes]
        return Found.of(found.corners, found.classes, _shares(odds))


def fit_calibration(matches: Matches) -> Calibration:
    """Fit to pictures that the detector was not fitted on.

    Args:
        matches: which of its boxes are right there.
    """
    classes = np.repeat(np.arange(matches.classes), np.diff(matches.starts))
    outcome = matches.outcomes[0, 0]
    counted = outcome != IGNORED
    hits = (outcome[counted] == RIGHT).astype(np.float64)
    design = np.zeros((len(hits), matches.classes + 1))
    design[:, 0] = _odds(matches.scores[counted])
    design[np.arange(len(hits)), 1 + classes[counted]] = 1.0
    start = np.zeros(matches.classes + 1)
    start[0] = 1.0
    penalties = np.full(matches.classes + 1, _PRIOR)
    penalties[0] = _SLOPE_PRIOR
    solved = _logistic(design, hits, start, penalties)
    if solved[0] < _LEAST_SLOPE:  # larger scores are not more often right: intercepts that fit this slope
        intercepts = _logistic(
            design[:, 1:], hits, start[1:], penalties[1:], offset=_LEAST_SLOPE * design[:, 0]
        )
        solved = np.concatenate([[_LEAST_SLOPE], intercepts])
    return Calibration(slope=float(solved[0]), intercepts=tuple(solved[1:].tolist()))


def _odds(scores: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    inside = np.clip(scores.astype(np.float64), EDGE, 1 - EDGE)
    odds: npt.NDArray[np.float64] = np.log(inside / (1 - inside))
    return odds


def _shares(odds: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Probabilities from logarithms of odds, of any size."""
    shares: npt.NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -odds))
    return shares


def _logistic(
    design: npt.NDArray[Any],
    hits: npt.NDArray[Any],
    start: npt.NDArray[Any],
    penalties: npt.NDArray[Any],
    *,
    offset: Any = 0.0,
) -> npt.NDArray[np.float64]:
    """Newton's method with halved steps; the penalties pull towards the start, so a solution exists.

    The offset `(N,)` is added to the logarithms of the odds, and not fitted.
    """
    weights = start.copy()

    def loss(weights: npt.NDArray[Any]) -> float:
        scores = design @ weights + offset
        fitted = np.logaddexp(0, scores) - hits * scores
        return float(fitted.sum() + (penalties * (weights - start) ** 2).sum())

    best = loss(weights)
    for _ in range(_STEPS):
        shares = _shares(design @ weights + offset)
        slope = design.T @ (shares - hits) + 2 * penalties * (weights - start)
        curve = (design * (shares * (1 - shares))[:, None]).T @ design
        curve[np.diag_indices(len(weights))] += 2 * penalties
        step, size = np.linalg.solve(curve, slope), 1.0
        while size > 1e-4 and loss(weights - size * step) > best:
            size /= 2
        new = loss(weights - size * step)
        if new > best - 1e-9 * max(1.0, best):
            break
        weights, best = weights - size * step, new
    return weights
