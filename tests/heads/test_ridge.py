from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import linear_model

from regraft.heads import ridge
from regraft.heads.fitting import fit_head
from regraft.heads.ridge_regression import ColumnRidge, GramRidge, Ridge, RowRidge
from regraft.heads.rows import TrainingRows
from tests.heads.test_heads import classification, columns, data

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Maker = Callable[[Floats, Ints, int, Ints], Ridge]

WAYS: list[Maker] = [
    RowRidge,
    lambda rows, labels, classes, folds: ColumnRidge(rows.__getitem__, labels, classes, folds),
]
ways = pytest.mark.parametrize("way", WAYS, ids=["rows", "columns"])
shapes = pytest.mark.parametrize("width", [5, 90], ids=["few columns", "many columns"])


def drawn(width: int, classes: int = 4, count: int = 60) -> tuple[Floats, Ints]:
    """Rows of about unit length that are not centred, one constant column, and labels."""
    draws = np.random.default_rng(width)
    rows = (draws.normal(size=(count, width)) + 0.5) / width**0.5
    rows[:, 1] = 0.25
    return rows, draws.integers(0, classes, count)


def refitted(rows: Floats, labels: Ints, classes: int, folds: Ints, strength: float) -> Floats:
    """Scores of each fold by scikit-learn's ridge regression on the rows of the others."""
    targets, scores = np.eye(classes)[labels], np.empty((len(rows), classes))
    for fold in np.unique(folds):
        held = folds == fold
        model = linear_model.Ridge(alpha=1 / strength).fit(rows[~held], targets[~held])
        scores[held] = model.predict(rows[held])
    return scores


@ways
@shapes
@pytest.mark.parametrize("strength", [0.01, 1.0, 1000.0])
def test_left_out_folds_are_predicted_as_by_a_refit_without_them(
    way: Maker, width: int, strength: float
) -> None:
    rows, labels = drawn(width)
    folds = np.arange(60) * 7 % 5
    found = way(rows, labels, 4, folds).out_of_fold(strength)
    assert np.allclose(found, refitted(rows, labels, 4, folds, strength), atol=1e-5)


@ways
@shapes
def test_leaving_one_row_out_equals_refits(way: Maker, width: int) -> None:
    rows, labels = drawn(width)
    found = way(rows, labels, 4, np.arange(60)).out_of_fold(3.0)
    assert np.allclose(found, refitted(rows, labels, 4, np.arange(60), 3.0), atol=1e-5)


def test_leaving_one_row_out_equals_scikit_learns_ridge_cv() -> None:
    rows, labels = drawn(90)
    theirs = linear_model.RidgeCV(alphas=[0.5], store_cv_results=True).fit(rows, np.eye(4)[labels])
    found = GramRidge(rows @ rows.T, labels, 4, np.arange(60)).out_of_fold(2.0)
    assert np.allclose((found - np.eye(4)[labels]) ** 2, theirs.cv_results_[:, :, 0], atol=1e-6)


@ways
@shapes
def test_the_fit_on_all_rows_equals_scikit_learns(way: Maker, width: int) -> None:
    rows, labels = drawn(width)
    theirs = linear_model.Ridge(alpha=0.5).fit(rows, np.eye(4)[labels])
    weights = way(rows, labels, 4, np.arange(60) % 5).weights(2.0)
    assert np.allclose(weights[:-1], theirs.coef_.T, atol=1e-5)
    assert np.allclose(weights[-1], theirs.intercept_, atol=1e-5)


@ways
def test_predictions_equal_those_of_scikit_learns_ridge_classifier(way: Maker) -> None:
    rows, labels = drawn(90)
    weights = way(rows, labels, 4, np.arange(60) % 5).weights(2.0)
    theirs = linear_model.RidgeClassifier(alpha=0.5).fit(rows, labels)  # targets of -1 and 1: twice ours
    assert np.array_equal((rows @ weights[:-1] + weights[-1]).argmax(axis=1), theirs.predict(rows))


@ways
def test_a_class_that_is_only_in_the_left_out_fold_gets_the_score_zero(way: Maker) -> None:
    rows, labels = drawn(5)
    labels[:] %= 3
    labels[7] = 3
    found = way(rows, labels, 4, np.arange(60) % 5).out_of_fold(1.0)
    assert np.allclose(found[np.arange(60) % 5 == 2, 3], 0)


def test_rows_of_half_the_precision_are_enough() -> None:
    rows, labels = drawn(90)
    folds = np.arange(60) % 5
    found = RowRidge(rows.astype(np.float32), labels, 4, folds).out_of_fold(100.0)
    assert np.allclose(found, refitted(rows, labels, 4, folds, 100.0), atol=1e-4)


def test_out_of_fold_probabilities_keep_look_alikes_together(tmp_path: Path) -> None:
    """Pairs of equal rows with their own noise label: a fold that divided them would know the answers."""
    rows, _ = data(tmp_path, count=200, classes=2)
    pairs = np.repeat(np.arange(100), 2)
    keys = tuple(rows.keys[pair] for pair in pairs)
    labels = np.random.default_rng(0).integers(0, 2, 100)[pairs]
    twice = TrainingRows(rows.features, keys, labels, tuple(f"g{pair}" for pair in pairs), classification(2))
    fitted = fit_head(twice, "ridge", [columns("noise")])
    assert (fitted.out_of_fold.argmax(axis=1) == labels).mean() < 0.65


def test_a_head_from_rows_that_are_read_again_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = data(tmp_path)
    in_memory = fit_head(rows, "ridge", [columns("signal", "constant")])
    monkeypatch.setattr(ridge, "_IN_MEMORY", 0)
    streamed = fit_head(rows, "ridge", [columns("signal", "constant")])
    assert np.allclose(streamed.head.arrays["weights"], in_memory.head.arrays["weights"], atol=1e-5)
    assert np.allclose(streamed.out_of_fold, in_memory.out_of_fold, atol=1e-5)


def test_the_chosen_strength_has_a_smaller_error_than_its_neighbours(tmp_path: Path) -> None:
    rows, features = data(tmp_path)
    head = fit_head(rows, "ridge", [columns("signal")]).head
    standing = (features.matrix(rows.keys, columns("signal")) - head.arrays["mean"]) * head.arrays["scale"]
    chosen = head.record.hyperparameters["C"]
    errors = [
        ridge.squared_error(refitted(standing, rows.targets, 3, rows.folds, strength), rows.targets)
        for strength in (chosen / 10**0.5, chosen, chosen * 10**0.5)
    ]
    assert errors[1] == min(errors)


def test_two_groups_choose_no_strength_and_no_temperature(tmp_path: Path) -> None:
    rows, _ = data(tmp_path)
    halves = TrainingRows(rows.features, rows.keys, rows.targets, ("a", "b") * 120, classification(3))
    assert halves.doubt is not None
    record = fit_head(halves, "ridge", [columns("signal")]).head.record
    assert (record.hyperparameters, record.temperature) == ({"C": 1.0}, 0.1)
