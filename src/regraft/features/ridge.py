"""Ridge regression on class indicators: a linear classifier of many classes by one small linear system."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from regraft.features.kernel_machines import by_class, class_shares
from regraft.features.training_rows import Floats, TrainingRows


def fit_ridge(data: TrainingRows, rows: Floats, strength: float) -> tuple[Floats, Floats]:
    """Weights and intercepts `(D + 1, K)` on all rows, and out-of-fold scores `(N, K)`.

    Minimises the sum of squares of `x W + b - y` plus |W|^2 / strength, where y is 1 for a row's own class
    and 0 for the others (Hoerl & Kennard 1970); b is the share of each class. The system has D unknowns for
    each class, so memory grows with D (D + K) besides the scores.

    Args:
        data: the training images.
        rows: features of the training images, `(N, D)`.
        strength: C, the inverse of the regularisation strength.
    """
    folds = int(data.folds.max()) + 1
    members = [np.flatnonzero(data.folds == fold) for fold in range(folds)]
    grams = np.stack([rows[own].T @ rows[own] for own in members])
    scores = np.empty((len(rows), data.num_classes))
    for fold, own in enumerate(members):
        kept = np.flatnonzero(data.folds != fold)
        weights = _solved(data, rows, kept, grams.sum(axis=0) - grams[fold], strength)
        scores[own] = rows[own] @ weights[:-1] + weights[-1]
    return _solved(data, rows, np.arange(len(rows)), grams.sum(axis=0), strength), scores


def _solved(
    data: TrainingRows, rows: Floats, kept: npt.NDArray[np.int64], gram: Floats, strength: float
) -> Floats:
    labels, means = data.labels[kept], class_shares(data.labels[kept], data.num_classes)
    targets = by_class(rows[kept].T, labels, data.num_classes)
    targets -= np.outer(rows[kept].sum(axis=0), means).astype(targets.dtype)
    gram = gram + np.eye(len(gram), dtype=gram.dtype) / np.float32(strength)
    weights = cho_solve(cho_factor(gram, lower=True), targets)
    return np.concatenate([weights, means[None].astype(weights.dtype)])
