from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from regraft.heads.solving import solver
from regraft.heads.solving.metric import metric_of
from regraft.heads.solving.solver import LinearProblems, Loss, _evaluate, solve


def example(count: int = 300, width: int = 40, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, classes, count)
    rows = generator.normal(size=(classes, width))[labels] + 2 * generator.normal(size=(count, width))
    return rows / width**0.5, labels


def whole(rows: np.ndarray, labels: np.ndarray, loss: Loss = "softmax") -> LinearProblems:
    return LinearProblems(rows, labels, 4, np.ones((1, len(rows)), dtype=bool), loss)


@pytest.mark.parametrize("loss", ["softmax", "squared-hinge"])
def test_gradients_equal_finite_differences(loss: Loss) -> None:
    rows, labels = example(30, 5)
    problems = whole(rows, labels, loss)
    place = np.array([0])

    def value(flat: np.ndarray) -> float:
        return float(_evaluate(problems, flat.reshape(1, 6, 4), np.array([2.0]), place)[0][0])

    def gradient(flat: np.ndarray) -> np.ndarray:
        return _evaluate(problems, flat.reshape(1, 6, 4), np.array([2.0]), place)[1].reshape(-1)

    start = np.random.default_rng(1).normal(size=24)
    assert check_grad(value, gradient, start) < 1e-5


@pytest.mark.parametrize("strength", [0.1, 10.0, 1000.0])
def test_logistic_regression_equals_scikit_learns(strength: float) -> None:
    rows, labels = example()
    ours = solve(whole(rows, labels), strength, tolerance=1e-7)[0]
    theirs = LogisticRegression(C=strength, tol=1e-9, max_iter=10_000).fit(rows, labels)
    expected = rows @ theirs.coef_.T + theirs.intercept_
    found = rows @ ours[:-1] + ours[-1]
    expected -= expected.mean(axis=1, keepdims=True)
    found -= found.mean(axis=1, keepdims=True)
    assert np.abs(found - expected).max() < 2e-2 * np.abs(expected).max()
    theirs_value = _objective(rows, labels, np.vstack([theirs.coef_.T, theirs.intercept_]), strength)
    assert _objective(rows, labels, ours, strength) <= theirs_value * (1 + 1e-6)


def _objective(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, strength: float) -> float:
    scores = rows @ weights[:-1] + weights[-1]
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(labels)), labels]
    return float(losses.mean() + (weights[:-1] ** 2).sum() / (2 * strength * len(labels)))


def test_the_linear_svm_scores_like_scikit_learns() -> None:
    rows, labels = example()
    ours = solve(whole(rows, labels, "squared-hinge"), 1.0, tolerance=1e-7)[0]
    theirs = LinearSVC(C=1.0, intercept_scaling=100, tol=1e-8, max_iter=100_000).fit(rows, labels)
    expected = theirs.decision_function(rows)
    assert np.abs(rows @ ours[:-1] + ours[-1] - expected).max() < 0.02


def test_problems_solved_together_equal_problems_solved_alone() -> None:
    rows, labels = example()
    folds = np.arange(len(rows)) % 3
    masks = np.stack([folds != fold for fold in range(3)])
    together = solve(LinearProblems(rows, labels, 4, masks), 10.0, tolerance=1e-7)
    for fold, mask in enumerate(masks):
        alone = solve(whole(rows[mask], labels[mask]), 10.0, tolerance=1e-7)[0]
        assert np.abs(together[fold] - alone).max() < 1e-3 * np.abs(alone).max()


def test_a_warm_start_ends_where_a_cold_one_does() -> None:
    rows, labels = example()
    warm = solve(whole(rows, labels), 10.0, start=solve(whole(rows, labels), 1.0), tolerance=1e-7)
    cold = solve(whole(rows, labels), 10.0, tolerance=1e-7)
    assert np.abs(warm - cold).max() < 1e-3 * np.abs(cold).max()


@pytest.mark.parametrize("loss", ["softmax", "squared-hinge"])
def test_a_metric_changes_the_way_and_not_the_optimum(loss: Loss, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = example()
    rows = rows * np.geomspace(0.01, 1, rows.shape[1])  # columns of very different spread take many steps
    passes = []
    evaluate = solver._evaluate
    monkeypatch.setattr(solver, "_evaluate", lambda *given: passes.append(0) or evaluate(*given))
    found, counts = [], []
    for metric in (None, metric_of(rows)):
        passes.clear()
        found.append(solve(whole(rows, labels, loss), 100.0, tolerance=1e-6, metric=metric)[0])
        counts.append(len(passes))
    scores = [rows @ weights[:-1] + weights[-1] for weights in found]
    assert np.allclose(scores[0], scores[1], atol=1e-2 * np.abs(scores[0]).max())
    assert counts[1] < counts[0] / 2
