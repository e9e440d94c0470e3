from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from regraft.heads.solving.label_solver import STRENGTHS, label_losses, solve_labels
from regraft.heads.solving.solver import LinearProblems, _evaluate, solve

NAN = float("nan")


def example(count: int = 240, width: int = 30, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    rows = draws.normal(size=(count, width)) / width**0.5
    scores = rows @ draws.normal(size=(width, labels)) * 3 + draws.logistic(size=(count, labels))
    targets = (scores > [0.0, 1.0, 3.0][:labels]).astype(np.float64)
    return rows, targets


def folds(count: int = 240) -> np.ndarray:
    return np.arange(count) % 5


def test_gradients_equal_finite_differences() -> None:
    rows, targets = example(30, 5)
    used = np.random.default_rng(2).random((2, 30)) < 0.7
    problems = LinearProblems(rows, targets[:, :2].astype(np.int64), 1, used, "sigmoid")
    strengths, both = np.array([2.0, 50.0]), np.arange(2)

    def value(flat: np.ndarray) -> float:
        return float(_evaluate(problems, flat.reshape(2, 6, 1), strengths, both)[0].sum())

    def gradient(flat: np.ndarray) -> np.ndarray:
        return _evaluate(problems, flat.reshape(2, 6, 1), strengths, both)[1].reshape(-1)

    assert check_grad(value, gradient, 3 * np.random.default_rng(1).normal(size=12)) < 1e-5


def test_extreme_scores_have_a_finite_loss() -> None:
    problems = LinearProblems(
        np.array([[1e4], [-1e4]]), np.array([[0], [1]]), 1, np.ones((1, 2), dtype=bool), "sigmoid"
    )
    value, gradient = _evaluate(problems, np.array([[[1.0], [0.0]]]), np.array([1e6]), np.array([0]))
    assert value[0] == pytest.approx(1e4)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("unknown", [0.0, 0.3], ids=["all known", "a third unknown"])
def test_each_label_equals_scikit_learns_logistic_regression(unknown: float) -> None:
    rows, targets = example()
    targets[np.random.default_rng(3).random(targets.shape) < unknown] = NAN
    solved = solve_labels(rows, targets, folds(), strengths=(30.0,))
    for weights, target in zip(solved.weights.T, targets.T, strict=True):
        known = ~np.isnan(target)
        theirs = LogisticRegression(C=30.0, tol=1e-9, max_iter=10_000).fit(rows[known], target[known])
        expected = theirs.decision_function(rows)
        assert np.abs(rows @ weights[:-1] + weights[-1] - expected).max() < 5e-3 * np.abs(expected).max()


def test_out_of_fold_scores_are_those_of_fits_without_the_fold() -> None:
    rows, targets = example()
    targets[::7, 1] = NAN
    solved = solve_labels(rows, targets, folds(), strengths=(30.0,))
    own, known = folds() == 3, ~np.isnan(targets[:, 1])
    theirs = LogisticRegression(C=30.0, tol=1e-9, max_iter=10_000)
    theirs.fit(rows[~own & known], targets[~own & known, 1])
    assert np.allclose(solved.out_of_fold[own, 1], theirs.decision_function(rows[own]), atol=0.1)


def test_what_is_unknown_of_one_label_changes_no_other_loss_or_gradient_by_a_bit() -> None:
    rows, targets = example()
    used = np.ones((3, len(rows)), dtype=bool)
    fewer = used.copy()
    fewer[0, :100] = False
    weights, strengths = np.random.default_rng(0).normal(size=(3, 31, 1)), np.full(3, 10.0)
    (value, slope), (value_fewer, slope_fewer) = (
        _evaluate(
            LinearProblems(rows, targets.astype(np.int64), 1, some, "sigmoid"),
            weights,
            strengths,
            np.arange(3),
        )
        for some in (used, fewer)
    )
    assert np.array_equal(value[1:], value_fewer[1:])
    assert np.array_equal(slope[1:], slope_fewer[1:])
    assert value[0] != value_fewer[0]


def test_what_is_unknown_of_one_label_changes_no_other_head() -> None:
    """Other labels take the same steps; a matrix product of other width may round differently."""
    rows, targets = example()
    masked = targets.copy()
    masked[:120, 0] = NAN
    before, after = solve_labels(rows, targets, folds()), solve_labels(rows, masked, folds())
    alone = solve_labels(rows, targets[:, 1:], folds())
    for other in (after.strengths[1:], alone.strengths):
        assert np.array_equal(before.strengths[1:], other)
    assert np.allclose(before.weights[:, 1:], after.weights[:, 1:], rtol=1e-6, atol=1e-6)
    assert np.allclose(before.weights[:, 1:], alone.weights, rtol=1e-6, atol=1e-6)
    assert np.allclose(before.out_of_fold[:, 1:], after.out_of_fold[:, 1:], rtol=1e-6, atol=1e-6)


def test_a_chosen_strength_has_the_smallest_loss_of_its_path() -> None:
    rows, targets = example()
    solved = solve_labels(rows, targets, folds())
    losses = np.stack(
        [
            label_losses(solve_labels(rows, targets, folds(), strengths=(one,)).out_of_fold, targets)
            for one in STRENGTHS
        ]
    )
    found = label_losses(solved.out_of_fold, targets)
    assert np.allclose(found, losses.min(axis=0), rtol=2e-3)


def test_noise_is_regularised_more_than_a_clear_label() -> None:
    rows, targets = example()
    targets[:, 0] = np.random.default_rng(5).random(len(rows)) < 0.5
    targets[:, 1] = rows[:, 0] > 0
    strengths = solve_labels(rows, targets, folds()).strengths
    assert strengths[0] == STRENGTHS[0]
    assert strengths[1] >= 100


def test_a_label_of_one_kind_gets_its_smoothed_share() -> None:
    rows, targets = example()
    targets[:, 0] = 0
    targets[:, 1] = NAN
    solved = solve_labels(rows, targets, folds())
    assert np.allclose(solved.weights[:-1, :2], 0)
    assert np.allclose(solved.weights[-1, :2], [np.log(1 / 241), 0])
    assert np.allclose(solved.out_of_fold[:, 0], np.log(1 / 193))


def test_problems_that_do_not_fit_together_have_the_same_optima(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, targets = example()
    used = np.ones((3, len(rows)), dtype=bool)
    problems = LinearProblems(rows, targets.astype(np.int64), 1, used, "sigmoid")
    together = solve(problems, np.array([1.0, 10.0, 100.0]), tolerance=1e-7)
    monkeypatch.setattr("regraft.heads.solving.solver._MEMORY_BYTES", 1)
    monkeypatch.setattr("regraft.heads.solving.label_solver._MOST_MARKS", 1)
    alone = solve(problems, np.array([1.0, 10.0, 100.0]), tolerance=1e-7)
    assert np.allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert solve_labels(rows, targets, folds()).weights.shape == (31, 3)
