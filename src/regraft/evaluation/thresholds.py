"""From which probability on a label is predicted: the thresholds that maximise F1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]


def f1_thresholds(probabilities: Floats, targets: Floats) -> npt.NDArray[np.float64]:
    """The threshold of each label with the largest F1; a label is predicted from its threshold on.

    A threshold is in the middle between two neighbouring probabilities, or 0.5 if that is between them. Among
    thresholds of equal F1, the one that is nearest to 0.5 is taken. A label that no known image has, or that
    all have, keeps 0.5.

    The probabilities must be out of fold: on images that the model was fitted on, thresholds would be too
    high. For a label that the model knows nothing about, the largest F1 is that of always predicting it, and
    so the threshold is low (Lipton, Elkan & Naryanaswamy 2014, section 5); the label's average precision
    reveals this.

    Args:
        probabilities: `(N, K)`.
        targets: `(N, K)`, 1 present, 0 absent, NaN unknown, which is left out.

    Returns:
        `(K,) float64`.

    >>> f1_thresholds(np.array([[0.1], [0.2], [0.3], [0.4]]), np.array([[0.0], [0.0], [1.0], [1.0]]))
    array([0.25])
    """
    return np.array([_threshold(*column) for column in zip(probabilities.T, targets.T, strict=True)])


def _threshold(chances: Floats, target: Floats) -> float:
    is_known = ~np.isnan(target)
    chances, present = chances[is_known].astype(np.float64), target[is_known] > 0
    if not present.any() or present.all():
        return 0.5
    order = np.argsort(-chances, kind="stable")
    chances, found = chances[order], np.cumsum(present[order])
    f1 = 2 * found / (np.arange(1, len(found) + 1) + found[-1])
    upper, lower = chances, np.append(chances[1:], 0.0)  # a threshold in (lower, upper] predicts the first n
    is_gap = upper > lower
    upper, lower, f1 = upper[is_gap], lower[is_gap], f1[is_gap]
    if not len(f1):
        return 0.5  # every probability is zero
    middle = np.where((lower < 0.5) & (upper >= 0.5), 0.5, (lower + upper) / 2)
    best = np.flatnonzero(f1 >= f1.max() * (1 - 1e-12))
    return float(middle[best[np.argmin(np.abs(middle[best] - 0.5))]])
