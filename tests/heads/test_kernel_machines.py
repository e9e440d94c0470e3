from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from regraft.heads import kernel_machines
from regraft.heads.fitting import fit_head
from regraft.heads.kernel_machines import by_class, least_squares, out_of_fold_scores
from tests.heads.test_heads import columns, data


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three classes count as many."""
    monkeypatch.setattr(kernel_machines, "MOST_PAIRED_CLASSES", 2)


def test_least_squares_equals_scikit_learns_kernel_ridge() -> None:
    draws = np.random.default_rng(0)
    rows, labels = draws.normal(size=(60, 4)), draws.integers(0, 3, 60)
    kernel = (rows @ rows.T).astype(np.float64)
    targets = np.eye(3)[labels] - np.eye(3)[labels].mean(axis=0)
    theirs = KernelRidge(alpha=0.1, kernel="precomputed").fit(kernel, targets)
    ours, intercepts = least_squares(kernel, labels, 3, 10.0)
    assert np.allclose(kernel @ ours, theirs.predict(kernel), atol=1e-4)
    assert np.allclose(intercepts, np.bincount(labels) / 60)


@pytest.mark.usefixtures("many")
def test_scores_of_a_fold_are_those_of_a_machine_fitted_on_the_others(tmp_path: Path) -> None:
    rows, _ = data(tmp_path, count=90)
    draws = np.random.default_rng(1).normal(size=(90, 5)).astype(np.float32)
    kernel = draws @ draws.T
    found = out_of_fold_scores(rows, kernel, 3.0)
    held = rows.folds == 0
    dual, means = least_squares(kernel[np.ix_(~held, ~held)], rows.targets[~held], 3, 3.0)
    assert np.allclose(found[held], kernel[np.ix_(held, ~held)] @ dual + means, atol=1e-3)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("exact", [1_000, 100])
def test_many_classes_are_learnt_exactly_and_with_landmarks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact: int
) -> None:
    monkeypatch.setattr("regraft.heads.kernel.EXACT_KERNEL_MAX", exact)
    rows, features = data(tmp_path)
    head = fit_head(rows, "rbf-svm", [columns("signal")]).head
    assert ("map" in head.arrays) == (exact == 100)
    head.check(3)
    found = head.probabilities(features.matrix(rows.keys, head.record.columns))
    assert (found.argmax(axis=1) == rows.targets).mean() > 0.85


def test_columns_of_a_class_are_added() -> None:
    found = by_class(np.array([[1.0, 2.0, 4.0]]), np.array([2, 0, 2]), 4)
    assert found.tolist() == [[2.0, 0.0, 5.0, 0.0]]
