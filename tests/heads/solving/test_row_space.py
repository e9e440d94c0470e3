from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from regraft.heads.solving.row_space import row_space
from regraft.heads.solving.solver import LinearProblems, Loss, solve

PLENTY = 10**6  # products: enough for the basis to pay


def wide(count: int = 60, width: int = 400, *, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Four classes, fewer images than columns, two of the images alike."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, count)
    rows = generator.normal(size=(4, width))[labels] + 2 * generator.normal(size=(count, width))
    rows[1] = rows[0]
    return (rows / width**0.5).astype(dtype), labels


def problems(rows: np.ndarray, labels: np.ndarray, loss: Loss = "softmax") -> LinearProblems:
    folds = np.arange(len(rows)) % 3
    return LinearProblems(rows, labels, 4, np.stack([folds != fold for fold in range(3)]), loss)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_coordinates_keep_scalar_products(dtype: type) -> None:
    rows, _ = wide(dtype=dtype)
    space = row_space(rows, PLENTY)
    assert space.basis is not None
    assert space.rows.shape == (60, 60)
    assert space.rows.dtype == space.basis.dtype == dtype
    precision = 1e-5 if dtype == np.float32 else 1e-12
    assert np.abs(space.rows @ space.rows.T - rows @ rows.T).max() < precision
    assert np.abs(space.rows @ space.basis.T - rows).max() < precision


@pytest.mark.parametrize("loss", ["softmax", "squared-hinge"])
@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_the_optimum_is_that_of_all_columns(loss: Loss, strength: float) -> None:
    rows, labels = wide()
    space = row_space(rows, PLENTY)
    plain = solve(problems(rows, labels, loss), strength, tolerance=1e-9)
    turned = solve(problems(space.rows, labels, loss), strength, tolerance=1e-9)
    for one, other in zip(plain, turned, strict=True):
        back = space.weights(other)
        assert back.shape == one.shape
        assert np.abs(back - one).max() < 1e-5 * np.abs(one).max()


def test_the_steps_on_the_way_are_the_same() -> None:
    """L-BFGS does not care how the space is turned: after three iterations both are at the same place."""
    rows, labels = wide()
    space = row_space(rows, PLENTY)
    plain = solve(problems(rows, labels), 10.0, max_iterations=3)
    turned = solve(problems(space.rows, labels), 10.0, max_iterations=3)
    for one, other in zip(plain, turned, strict=True):
        assert np.abs(space.weights(other) - one).max() < 1e-9 * np.abs(one).max()


def test_logistic_regression_in_the_row_space_equals_scikit_learns() -> None:
    rows, labels = wide()
    space = row_space(rows, PLENTY)
    every = np.ones((1, len(rows)), dtype=bool)
    ours = space.weights(solve(LinearProblems(space.rows, labels, 4, every), 10.0, tolerance=1e-9)[0])
    theirs = LogisticRegression(C=10.0, tol=1e-10, max_iter=10_000).fit(rows, labels)
    assert np.abs(ours[:-1] - theirs.coef_.T).max() < 1e-3 * np.abs(theirs.coef_).max()


@pytest.mark.parametrize(("count", "width"), [(100, 60), (60, 60), (59, 60)])
def test_rows_that_are_not_much_fewer_stay_as_they_are(count: int, width: int) -> None:
    """59 x 60 numbers, and 2,000 products would save a column each: the basis costs more."""
    rows = np.random.default_rng(0).normal(size=(count, width))
    space = row_space(rows, 2_000)
    assert space.rows is rows
    solved = np.ones((width + 1, 3))
    assert space.weights(solved) is solved
