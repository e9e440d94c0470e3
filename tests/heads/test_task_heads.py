"""Heads of several labels and of a number, on synthetic rows whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from regraft.errors import SettingsError
from regraft.heads.fitting import fit_head
from regraft.heads.rows import TrainingRows, standardised
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression
from tests.heads.test_heads import columns, data


def labels_of(folder: Path, unknown: float = 0.0) -> TrainingRows:
    """Three labels: two that the signal stage shows, and one that nothing shows."""
    rows, features = data(folder)
    matrix = features.matrix(rows.keys, columns("signal")).astype(np.float64)
    draws = np.random.default_rng(1)
    targets = np.stack([matrix[:, 0] > 0, matrix[:, 1] > 0, draws.random(len(matrix)) < 0.3], axis=1)
    found = targets.astype(np.float32)
    found[draws.random(found.shape) < unknown] = np.nan
    return replace(rows, targets=found, task=Multilabel(outputs=("a", "b", "noise")))


def numbers_of(folder: Path) -> TrainingRows:
    rows, features = data(folder)
    matrix = features.matrix(rows.keys, columns("signal")).astype(np.float64)
    noise = np.random.default_rng(1).normal(size=len(matrix))
    return replace(rows, targets=matrix[:, 0] - 2 * matrix[:, 1] + 0.1 * noise, task=Regression())


def test_labels_that_show_are_learned_and_one_that_does_not_is_predicted_by_its_share(tmp_path: Path) -> None:
    rows = labels_of(tmp_path)
    fitted = fit_head(rows, "logistic", [columns("signal")])
    right = ((fitted.out_of_fold > 0.5) == (rows.targets > 0)).mean(axis=0)
    assert right[:2].min() > 0.95
    assert np.abs(fitted.out_of_fold[:, 2] - rows.targets[:, 2].mean()).mean() < 0.1


def test_what_is_not_known_of_one_label_changes_no_other(tmp_path: Path) -> None:
    rows = labels_of(tmp_path)
    masked = rows.targets.copy()
    masked[::3, 1] = np.nan
    one = fit_head(rows, "logistic", [columns("signal")])
    # The folds balance known labels, so they are the same on purpose here.
    partly = replace(rows, targets=masked)
    object.__setattr__(partly, "folds", rows.folds)
    other = fit_head(partly, "logistic", [columns("signal")])
    for label in (0, 2):
        assert other.out_of_fold[:, label] == pytest.approx(one.out_of_fold[:, label], abs=2e-3)
    assert not np.allclose(other.head.arrays["weights"][:, 1], one.head.arrays["weights"][:, 1], atol=1e-3)


def test_outputs_of_a_label_head_are_the_logistic_function_of_its_scores(tmp_path: Path) -> None:
    rows = labels_of(tmp_path, unknown=0.2)
    head = fit_head(rows, "logistic", [columns("signal")]).head
    matrix = rows.features.matrix(rows.keys, columns("signal"))
    assert head.probabilities(matrix) == pytest.approx(expit(head.scores(matrix)), abs=1e-12)
    assert head.record.link == "sigmoid"
    assert head.record.temperature == 1


def test_out_of_fold_numbers_are_those_of_fits_without_the_image(tmp_path: Path) -> None:
    """Brute force: the normal equations without one image, at the strength that was chosen."""
    rows = numbers_of(tmp_path)
    fitted = fit_head(rows, "ridge", [columns("signal")])
    _, matrix = standardised(rows, columns("signal"))
    strength = fitted.head.record.hyperparameters["C"]
    for left in (0, 17, 239):
        kept = np.arange(240) != left
        design = np.column_stack([matrix[kept].astype(np.float64), np.ones(239)])
        penalty = np.diag([1 / strength] * matrix.shape[1] + [0.0])
        weights = np.linalg.solve(design.T @ design + penalty, design.T @ rows.targets[kept])
        expected = matrix[left] @ weights[:-1] + weights[-1]
        assert fitted.out_of_fold[left, 0] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert fitted.folds == 240


def test_a_number_that_shows_is_predicted_up_to_its_noise(tmp_path: Path) -> None:
    rows = numbers_of(tmp_path)
    fitted = fit_head(rows, "ridge", [columns("noise"), columns("signal")])
    assert {column.stage for column in fitted.head.record.columns} == {"signal"}
    assert np.abs(fitted.out_of_fold[:, 0] - rows.targets).mean() < 0.12
    assert [merit.name for _, merit in fitted.trials] == ["mean_absolute_error"] * 2


@pytest.mark.parametrize("kind", ["rbf-svm", "ridge"])
def test_a_head_that_predicts_no_labels_is_refused_with_those_that_do(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SettingsError, match=f"{kind} can't be fitted .* accepted is logistic"):
        fit_head(labels_of(tmp_path), kind, [columns("signal")])  # type: ignore[arg-type]
