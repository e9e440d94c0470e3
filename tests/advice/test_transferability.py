from __future__ import annotations

import numpy as np
import pytest

from regraft.advice.transferability import h_score, leep, log_me, nce

GENERATOR = np.random.default_rng(0)


def separated(distance: float, width: int = 8, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % 2
    rows = np.random.default_rng(1).normal(size=(count, width))
    rows[:, 0] += distance * labels
    return rows, labels


@pytest.mark.parametrize("score", [log_me, h_score], ids=["logme", "h-score"])
def test_features_that_tell_classes_apart_score_higher(score) -> None:  # type: ignore[no-untyped-def]
    values = [score(*separated(distance)) for distance in (0.0, 1.0, 4.0)]
    assert values[0] < values[1] < values[2]


def test_logme_is_the_marginal_likelihood_at_its_best() -> None:
    """The evidence of the equivalent Gaussian process, maximised over a grid: another way to it."""
    rows, labels = separated(2.0, width=3, count=40)
    centred = rows - rows.mean(axis=0)
    target = labels - labels.mean()
    best = -np.inf
    for alpha in np.geomspace(1e-2, 1e3, 60):
        for beta in np.geomspace(1e-1, 1e2, 60):
            covariance = np.eye(40) / beta + centred @ centred.T / alpha
            fit = target @ np.linalg.solve(covariance, target)
            best = max(best, -0.5 * (fit + np.linalg.slogdet(covariance)[1] + 40 * np.log(2 * np.pi)) / 40)
    assert log_me(rows, labels) == pytest.approx(best, abs=2e-3)


def test_h_score_by_hand() -> None:
    """One feature, two classes at -1 and 1 with no spread within: all of the variance is between them."""
    rows = np.array([[-1.0], [1.0]] * 500)
    labels = np.array([0, 1] * 500)
    assert h_score(rows, labels) == pytest.approx(1.0, abs=1e-6)


def test_nce_and_leep_by_hand() -> None:
    """A source class that always goes with one label says all; one that goes with both halves the odds."""
    labels = np.array([0, 0, 1, 1])
    telling = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    silent = np.array([[1.0, 0.0]] * 4)
    assert nce(telling, labels) == pytest.approx(0)
    assert leep(telling, labels) == pytest.approx(0)
    assert nce(silent, labels) == pytest.approx(-np.log(2))
    assert leep(silent, labels) == pytest.approx(-np.log(2))
