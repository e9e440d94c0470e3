"""Heads that are linear in standardised features, and the nearest-centroid head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from regraft.features.heads import softmax, squared_distances
from regraft.features.row_space import row_space
from regraft.features.solver import LinearProblems, Loss, solve
from regraft.features.training_rows import (
    Candidate,
    FittedHead,
    Floats,
    TrainingRows,
    accuracy,
    finished,
    log_loss,
    standardised,
)
from regraft.records import HeadKind

_STRENGTHS: dict[Loss, tuple[float, ...]] = {
    "softmax": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
    "squared-hinge": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
}
_MIDDLING_STRENGTH = 100.0
_EVALUATIONS = 200  # about as many as a search for the strength takes; a single strength takes a fifth


def fit_logistic(data: TrainingRows, columns: Candidate) -> FittedHead:
    """Fit a multinomial logistic regression; its probabilities need no calibration."""
    return _fit_linear(data, columns, kind="logistic", loss="softmax")


def fit_linear_svm(data: TrainingRows, columns: Candidate) -> FittedHead:
    """Fit a calibrated one-against-rest linear SVM with squared hinge loss."""
    return _fit_linear(data, columns, kind="linear-svm", loss="squared-hinge")


def _fit_linear(data: TrainingRows, columns: Candidate, *, kind: HeadKind, loss: Loss) -> FittedHead:
    standard, rows = standardised(data, columns)
    space = row_space(rows, _EVALUATIONS * _scores_together(data))
    strength, scores = choose_strength(data, space.rows, loss)
    weights = space.weights(solve_all(data, space.rows, loss, strength))
    return finished(
        data,
        kind,
        columns,
        standard=standard,
        arrays={"weights": weights[:-1], "intercepts": weights[-1]},
        hyperparameters={"C": strength},
        scores=scores,
        temperature=1.0 if loss == "softmax" else None,
    )


def solve_all(data: TrainingRows, rows: Floats, loss: Loss, strength: float) -> Floats:
    """Solve for weights and intercepts `(D + 1, K)` on all rows, at one strength."""
    every = np.ones((1, len(rows)), dtype=bool)
    weights: Floats = solve(LinearProblems(rows, data.labels, data.num_classes, every, loss), strength)[0]
    return weights


def cross_validated_logistic(data: TrainingRows, columns: Candidate) -> Floats:
    """Out-of-fold scores `(N, K)` at a medium strength, solved just precisely enough for accuracy."""
    rows = standardised(data, columns)[1]
    space = row_space(rows, _EVALUATIONS // 5 * _scores_together(data))
    return choose_strength(data, space.rows, "softmax", strengths=(_MIDDLING_STRENGTH,), tolerance=1e-2)[1]


def _scores_together(data: TrainingRows) -> int:
    """How many scores each image gets when all folds are evaluated once."""
    return data.num_classes * (int(data.folds.max()) + 1)


def choose_strength(
    data: TrainingRows,
    rows: Floats,
    loss: Loss,
    *,
    strengths: Sequence[float] | None = None,
    tolerance: float = 2e-3,
) -> tuple[float, Floats]:
    """The strength with the smallest cross-validated loss, and its out-of-fold scores.

    All folds are solved together; each strength starts from the optima of the one before. The search
    ends when two strengths in a row are no better.

    Args:
        data: the training images.
        rows: standardised features of the training images.
        loss: the head's loss.
        strengths: the strengths to choose from, in rising order; None means those of the loss.
        tolerance: see `solve`.
    """
    folds = data.folds
    trained = np.stack([folds != fold for fold in range(folds.max() + 1)])
    problems = LinearProblems(rows, data.labels, data.num_classes, trained, loss)
    best: tuple[float, float, Floats] | None = None
    weights, worse = None, 0
    for strength in strengths or _STRENGTHS[loss]:
        weights = solve(problems, strength, start=weights, tolerance=tolerance)
        scores = np.empty((len(rows), data.num_classes))
        for fold in range(len(trained)):
            held = folds == fold
            scores[held] = rows[held] @ weights[fold, :-1] + weights[fold, -1]
        value = (
            log_loss(softmax(scores), data.labels) if loss == "softmax" else -accuracy(scores, data.labels)
        )
        if best is None or value < best[0]:
            best, worse = (value, strength, scores), 0
        else:
            worse += 1
        if worse == 2:
            break
    assert best is not None
    return best[1], best[2]


def fit_centroid(data: TrainingRows, columns: Candidate) -> FittedHead:
    """Fit a calibrated head that predicts the nearest class mean."""
    standard, rows = standardised(data, columns)
    scores = np.empty((len(rows), data.num_classes))
    for fold in range(data.folds.max() + 1):
        held = data.folds == fold
        centres = _class_means(rows[~held], data.labels[~held], data.num_classes)
        scores[held] = -0.5 * squared_distances(rows[held], centres)
    centres = _class_means(rows, data.labels, data.num_classes)
    return finished(
        data,
        "centroid",
        columns,
        standard=standard,
        arrays={"centroids": centres},
        hyperparameters={},
        scores=scores,
    )


def _class_means(rows: Floats, labels: npt.NDArray[np.int64], num_classes: int) -> Floats:
    """Class means `(K, D)`; a class without rows is put far away, so that no image is nearest to it."""
    means = np.full((num_classes, rows.shape[1]), 1e3, dtype=np.float32)
    for label in np.unique(labels):
        means[label] = rows[labels == label].mean(axis=0)
    return means
