"""By what models of classes are compared, image by image: a goodness whose mean is the measure.

So contenders, runs and strengths are compared by the same paired statistics, whatever the measure is.

- `accuracy`: 1 where the largest probability is that of the true class, else 0.
- `balanced`: the same, weighted so that every class has the same total weight: the mean is the balanced
  accuracy (the mean recall of the classes that occur).
- `auroc`: how many images of other classes an image is ranked before, `N / n_c * share - AUROC`, where `n_c`
  is the number of images on its side. The mean is the AUROC, and the spread of differences between two models
  is that of DeLong, DeLong & Clarke-Pearson 1988, as it is without a true difference. Of more than two
  classes, it is the mean over classes of each against all others.
- `log-loss`: the logarithm of the probability of the true class; the mean is minus the log-loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.evaluation.scores import largest
from regraft.records import ClassMeasure

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
_LEAST = 1e-12

SCORE_NAMES: Mapping[ClassMeasure, str] = {
    "accuracy": "accuracy",
    "balanced": "balanced_accuracy",
    "auroc": "auroc",
    "log-loss": "log_loss",
}
"""The name of the score of each measure, as `Scores` and `Measure` have it."""


def class_goodness(measure: ClassMeasure, outputs: Floats, targets: Ints) -> npt.NDArray[np.float64]:
    """How good the prediction for each image is by a measure, `(N,)`; see the top of this file.

    Args:
        measure: the measure.
        outputs: probabilities `(N, K)`.
        targets: class numbers `(N,)`.

    >>> outputs, targets = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]), np.array([0, 0, 1])
    >>> class_goodness("accuracy", outputs, targets).tolist()
    [1.0, 1.0, 0.0]
    >>> [round(float(class_goodness(one, outputs, targets).mean()), 3) for one in ("balanced", "auroc")]
    [0.5, 0.5]
    """
    if measure == "log-loss":
        own = outputs[np.arange(len(targets)), targets]
        logarithms: npt.NDArray[np.float64] = np.log(np.maximum(own.astype(np.float64), _LEAST))
        return logarithms
    if measure == "auroc":
        return _ranking(outputs, targets)
    rights: npt.NDArray[np.float64] = (largest(outputs) == targets).astype(np.float64)
    return rights if measure == "accuracy" else rights * class_balance(targets)


def class_balance(targets: Ints) -> npt.NDArray[np.float64]:
    """A weight for each image, by which every class that occurs has the same total weight; their mean is 1.

    >>> class_balance(np.array([0, 0, 0, 1])).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]
    """
    counts = np.bincount(targets)
    weights: npt.NDArray[np.float64] = len(targets) / (np.count_nonzero(counts) * counts[targets])
    return weights


def _ranking(outputs: Floats, targets: Ints) -> npt.NDArray[np.float64]:
    """The mean over classes of each one's ranking against all others; of two classes, that of the second."""
    occurring = np.unique(targets)
    if len(occurring) < 2:
        return np.full(len(targets), 0.5)
    classes = [1] if outputs.shape[1] == 2 else occurring.tolist()
    means = np.zeros(len(targets))
    for number in classes:
        means += _ranked(outputs[:, number], targets == number)
    means /= len(classes)
    return means


def _ranked(scores: Floats, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """`N / n_c * share - AUROC` for each image, where the share is its placement."""
    shares = placements(scores, present)
    counts = np.where(present, present.sum(), (~present).sum())
    result: npt.NDArray[np.float64] = len(scores) / counts * shares - shares[present].mean()
    return result


def placements(scores: Floats, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The share of the images on the other side that each image is on the right side of, `(N,)`.

    For an image that has the label, it is the share of the others with a lower score; for one without it, the
    share of those that have it with a higher score. Equal scores count half.

    Args:
        scores: `(N,)`, higher for images that more probably have the label.
        present: `(N,)`, whether each image has it; some have it, and some have not.

    >>> placements(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True])).tolist()
    [1.0, 0.75, 0.75, 1.0]
    """
    _, level = np.unique(scores, return_inverse=True)
    size = int(level.max()) + 1
    having, others = (np.bincount(level[one], minlength=size) for one in (present, ~present))
    below = (np.cumsum(others) - others / 2) / others.sum()
    above = 1 - (np.cumsum(having) - having / 2) / having.sum()
    result: npt.NDArray[np.float64] = np.where(present, below[level], above[level])
    return result
