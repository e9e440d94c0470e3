from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from regraft.evaluation.conformal import half_width
from regraft.heads.solving.shrinkage import STRENGTHS, Shrinkage, solve_number

shapes = pytest.mark.parametrize("width", [5, 60, 90], ids=["few columns", "as many", "many columns"])


def drawn(width: int, count: int = 60, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of about unit length that are not centred, one constant column, and numbers far from zero."""
    draws = np.random.default_rng(width)
    rows = (draws.normal(size=(count, width)) + 0.5) / width**0.5
    rows[:, 1] = 0.25
    targets = 100 + 3 * rows @ draws.normal(size=width) + noise * draws.normal(size=count)
    return rows, targets


def refitted(rows: np.ndarray, targets: np.ndarray, groups: np.ndarray, strength: float) -> np.ndarray:
    found = np.empty(len(rows))
    for group in np.unique(groups):
        own = groups == group
        found[own] = Ridge(alpha=1 / strength).fit(rows[~own], targets[~own]).predict(rows[own])
    return found


@shapes
@pytest.mark.parametrize("strength", [0.01, 1.0, 1000.0])
@pytest.mark.parametrize("size", [1, 7], ids=["single images", "groups"])
def test_left_out_groups_are_predicted_as_by_a_refit_without_them(
    width: int, strength: float, size: int
) -> None:
    rows, targets = drawn(width)
    groups = np.arange(60) // size
    found = Shrinkage(rows, targets, [str(group) for group in groups]).left_out(strength)
    assert np.allclose(found, refitted(rows, targets, groups, strength), atol=1e-8)


@shapes
def test_the_fit_on_all_rows_equals_scikit_learns(width: int) -> None:
    rows, targets = drawn(width)
    theirs, weights = Ridge(alpha=0.5).fit(rows, targets), Shrinkage(rows, targets).weights(2.0)
    assert np.allclose(weights, np.append(theirs.coef_, theirs.intercept_), atol=1e-8)


@shapes
def test_the_strength_is_that_of_scikit_learns_leave_one_out(width: int) -> None:
    rows, targets = drawn(width)
    theirs = RidgeCV(alphas=[1 / one for one in STRENGTHS]).fit(rows, targets)
    assert solve_number(rows, targets).strength == pytest.approx(1 / theirs.alpha_)


def test_more_noise_needs_more_regularisation() -> None:
    strengths = [solve_number(*drawn(40, 200, noise)).strength for noise in (0.01, 0.5, 5.0)]
    assert strengths[0] > 10 * strengths[1] > 100 * strengths[2]


def test_a_single_strength_is_taken_as_it_is() -> None:
    assert solve_number(*drawn(5), strengths=(2.0,)).strength == 2.0


def test_copies_of_an_image_do_not_tell_its_number() -> None:
    """Each image twice, its number pure noise: left out alone, a copy would know the answer."""
    draws = np.random.default_rng(0)
    rows, targets = np.repeat(draws.normal(size=(50, 200)), 2, axis=0), np.repeat(draws.normal(size=50), 2)
    pairs = [str(place // 2) for place in range(100)]
    error, error_of_copies = (
        np.mean((solve_number(rows, targets, groups).out_of_fold[:, 0] - targets) ** 2)
        for groups in (pairs, None)
    )
    assert error_of_copies < 0.1
    assert error > 0.7


@pytest.mark.parametrize("width", [10, 150], ids=["few columns", "many columns"])
def test_ninety_percent_intervals_contain_the_numbers_of_new_images(width: int) -> None:
    draws, covered = np.random.default_rng(0), []
    for _ in range(40):
        weights = draws.normal(size=width)
        rows = draws.normal(size=(400, width)) / width**0.5
        targets = rows @ weights + draws.exponential(size=400)
        solved = solve_number(rows[:100], targets[:100])
        half = half_width(targets[:100] - solved.out_of_fold[:, 0])
        assert half is not None
        predicted = rows[100:] @ solved.weights[:-1, 0] + solved.weights[-1, 0]
        covered.append(np.mean(np.abs(targets[100:] - predicted) <= half))
    assert 0.88 <= np.mean(covered) <= 0.92
