"""Scores that estimate how well a network transfers; they are shown with the probe, but don't decide.

On their own published tables they are not better than a fixed list of good networks; docs/choosing.md has
our results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.records import Record

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
_ROUNDS = 20


class Transferability(Record):
    """Four transferability scores; larger is better for each of them."""

    logme: float
    h_score: float
    nce: float
    leep: float


def log_me(features: Floats, labels: Ints) -> float:
    """Log maximum evidence per image of a linear model on the features (You et al. 2021, algorithm 1).

    Mean over one-against-rest targets of the log marginal likelihood, prior and noise precisions at their
    fixed point.

    Args:
        features: `(N, D)`.
        labels: `(N,)` class numbers.
    """
    rows = features.astype(np.float64) - features.mean(axis=0)
    count, width = rows.shape
    left, singular, _ = np.linalg.svd(rows, full_matrices=False)
    squares = singular**2
    evidences = []
    for label in np.unique(labels):
        target = (labels == label).astype(np.float64)
        target -= target.mean()
        projected = (left.T @ target) ** 2
        residue = max(float(target @ target - projected.sum()), 0.0)
        evidences.append(_evidence(squares, projected, residue, count, width))
    return float(np.mean(evidences))


def _evidence(squares: Floats, projected: Floats, residue: float, count: int, width: int) -> float:
    alpha, beta = 1.0, 1.0
    error = size = 0.0
    for _ in range(_ROUNDS):
        shrunk = alpha + beta * squares
        gamma = float((beta * squares / shrunk).sum())
        size = max(float((beta**2 * squares * projected / shrunk**2).sum()), 1e-12)
        error = max(float((alpha**2 * projected / shrunk**2).sum()) + residue, 1e-12)
        new_alpha, new_beta = gamma / size, max(count - gamma, 1e-9) / error
        done = abs(new_alpha / new_beta - alpha / beta) <= 1e-4 * alpha / beta
        alpha, beta = new_alpha, new_beta
        if done:
            break
    determinant = float(np.log(alpha + beta * squares).sum()) + (width - len(squares)) * float(np.log(alpha))
    total = width * np.log(alpha) + count * np.log(beta) - determinant
    total += -beta * error - alpha * size - count * np.log(2 * np.pi)
    return float(total / (2 * count))


def h_score(features: Floats, labels: Ints) -> float:
    """Spread of the class means in units of the features' covariance (Bao et al. 2019, definition 2).

    With fewer images than features the covariance can't be inverted, so it is shrunk towards a multiple of
    the identity by the rule of Ledoit & Wolf, as in Ibrahim et al. 2021.
    """
    rows = features.astype(np.float64) - features.mean(axis=0)
    means = np.zeros_like(rows)
    for label in np.unique(labels):
        means[labels == label] = rows[labels == label].mean(axis=0)
    covariance, between = rows.T @ rows / len(rows), means.T @ means / len(rows)
    return float(np.trace(np.linalg.solve(_shrunk(covariance, rows), between)))


def _shrunk(covariance: Floats, rows: Floats) -> Floats:
    """The covariance shrunk as in Ledoit & Wolf 2004, lemmas 3.2 to 3.5; `rows` are centred."""
    count, width = rows.shape
    scale = np.trace(covariance) / width
    spread = float(np.square(covariance).sum() / width - scale**2)
    # The mean of |x x' - S|^2 over rows is the mean of |x|^4, less |S|^2.
    noise = float(
        (np.square(np.square(rows).sum(axis=1)).mean() - np.square(covariance).sum()) / (width * count)
    )
    share = min(1.0, noise / spread) if spread > 0 else 1.0
    result: Floats = (1 - share) * covariance
    result[np.diag_indices(width)] += share * scale + 1e-12
    return result


def nce(source: Floats, labels: Ints) -> float:
    """Minus the entropy of the label given the source classifier's prediction (Tran et al. 2019, section 3).

    Args:
        source: `(N, Z)` probabilities of the source's classes.
        labels: `(N,)` class numbers.
    """
    chosen = source.argmax(axis=1)
    joint = np.zeros((int(labels.max()) + 1, source.shape[1]))
    np.add.at(joint, (labels, chosen), 1 / len(labels))
    column = np.broadcast_to(joint.sum(axis=0), joint.shape)
    filled = joint > 0
    return float((joint[filled] * np.log(joint[filled] / column[filled])).sum())


def leep(source: Floats, labels: Ints) -> float:
    """Mean log-likelihood of the labels by way of the source's classes (Nguyen et al. 2020, equation 2).

    Args:
        source: `(N, Z)` probabilities of the source's classes.
        labels: `(N,)` class numbers.
    """
    joint = np.zeros((int(labels.max()) + 1, source.shape[1]))
    np.add.at(joint, labels, source / len(labels))
    given = joint / np.maximum(joint.sum(axis=0), 1e-12)
    own = (source * given[labels]).sum(axis=1)
    return float(np.log(np.maximum(own, 1e-12)).mean())
