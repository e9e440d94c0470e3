"""Heads on many rows are those of the whole computation; the tests lower the number that counts as many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestCentroid

from regraft.heads import many_rows
from regraft.heads import rows as rows_module
from regraft.heads.fitting import fit_head
from regraft.heads.head2toe import _solved
from regraft.heads.linear import fit_centroid
from regraft.heads.many_rows import HeldSample, held_sample
from regraft.heads.rows import TrainingRows, by_blocks, standardised
from regraft.heads.solving.many_labels import Parts, solve_many_labels
from regraft.heads.solving.number_equations import solve_many_numbers
from regraft.heads.solving.row_blocks import RowBlocks
from regraft.heads.solving.shrinkage import STRENGTHS
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.regression import Regression
from tests.heads.test_heads import LAYOUT, columns, data

COUNT = 3_000
NAN = float("nan")


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 2,000 rows on they are many; at most 500 are held out, and 1,000 of the others are searched."""
    monkeypatch.setattr(many_rows, "MANY_ROWS", 2_000)
    monkeypatch.setattr(many_rows, "MOST_HELD", 500)
    monkeypatch.setattr(many_rows, "MOST_SEARCHED", 1_000)


@pytest.fixture(params=["single", "half"])
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Rows are kept in single precision, or as they are stored."""
    if request.param == "half":
        monkeypatch.setattr(many_rows, "_SINGLE_BYTES", 0)
    return str(request.param)


def many(folder: Path) -> tuple[TrainingRows, HeldSample]:
    rows, _ = data(folder, count=COUNT, spread=1)
    return rows, sample_of(rows)


def sample_of(rows: TrainingRows) -> HeldSample:
    found = held_sample(rows)
    assert found is not None
    return found


def test_the_means_are_those_of_all_rows_and_the_scores_those_of_the_others_means(tmp_path: Path) -> None:
    rows, held = many(tmp_path)
    pairs = replace(rows, groups=tuple(str(number // 3) for number in range(COUNT)))
    held = sample_of(pairs)
    fitted = fit_centroid(pairs, columns("noise", "signal"))
    own = standardised(pairs, columns("noise", "signal"))[1]
    theirs = NearestCentroid().fit(own, pairs.targets)
    assert np.allclose(fitted.head.arrays["centroids"], theirs.centroids_, atol=1e-6)
    others = NearestCentroid().fit(own[held.others], pairs.targets[held.others])
    assert np.array_equal(fitted.out_of_fold.argmax(axis=1), others.predict(own[held.rows]))


def test_a_class_that_is_only_held_out_is_never_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, held = many(tmp_path)
    monkeypatch.setattr("regraft.heads.linear.held_sample", lambda data: held)
    labels = np.where(rows.targets == 2, 1, rows.targets)
    labels[held.rows[:100]] = 2
    fitted = fit_centroid(replace(rows, targets=labels), columns("signal"))
    assert (fitted.out_of_fold.argmax(axis=1) != 2).all()
    matrix = rows.features.matrix(rows.keys, columns("signal"))
    assert (fitted.head.probabilities(matrix).argmax(axis=1) == 2).any()


def test_features_that_a_sample_chose_get_the_optimum_on_all_rows(tmp_path: Path, precision: str) -> None:
    rows, _ = many(tmp_path)
    fitted = fit_head(rows, "head2toe", [LAYOUT])
    chosen = np.flatnonzero(fitted.head.arrays["scale"])
    assert 0 < len(chosen) < 14
    assert (chosen < 12).all()  # the last two are constant
    own = standardised(rows, LAYOUT)[1][:, chosen]
    whole = _solved(own, rows, np.ones(COUNT, dtype=bool))
    mine = np.concatenate([fitted.head.arrays["weights"][chosen], fitted.head.arrays["intercepts"][None]])
    scores, expected = (own @ weights[:-1] + weights[-1] for weights in (mine, whole))
    assert np.abs(scores - expected).max() < 2e-2 * np.abs(expected).max()
    assert fitted.sample is not None
    assert (fitted.out_of_fold.argmax(axis=1) == rows.targets[fitted.sample]).mean() > 0.6


def labelled(folder: Path, unknown: float = 0.2) -> tuple[TrainingRows, HeldSample]:
    rows, _ = many(folder)
    matrix = rows.features.matrix(rows.keys, columns("signal")).astype(np.float64)
    draws = np.random.default_rng(1)
    chances = np.stack([expit(4 * matrix[:, 0]), expit(matrix[:, 1] - 3), np.full(COUNT, 0.3)], axis=1)
    found = (draws.random(chances.shape) < chances).astype(np.float32)
    found[draws.random(found.shape) < unknown] = NAN
    labels = replace(rows, targets=found, task=Multilabel(outputs=("a", "b", "noise")))
    return labels, sample_of(labels)


def test_every_label_has_the_optimum_on_all_rows_at_its_strength(tmp_path: Path, precision: str) -> None:
    rows, held = labelled(tmp_path)
    fitted = fit_head(rows, "logistic", [columns("noise", "signal")])
    own = standardised(rows, columns("noise", "signal"))[1]
    scores = fitted.head.scores(rows.features.matrix(rows.keys, columns("noise", "signal")))
    odds = np.log(fitted.out_of_fold / (1 - fitted.out_of_fold))
    others = np.isin(np.arange(COUNT), held.others)
    for label, known in enumerate(~np.isnan(rows.targets.T)):
        strength = fitted.head.record.hyperparameters[f"C/{label}"]
        for found, used, read in ((scores, known, slice(None)), (odds, known & others, held.rows)):
            theirs = LogisticRegression(C=strength, tol=1e-8, max_iter=5_000)
            theirs.fit(own[used], rows.targets[used, label])
            assert np.abs(found[:, label] - theirs.decision_function(own[read])).max() < 0.05


def test_labels_in_blocks_of_one_are_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows, held = labelled(tmp_path)
    own, parts = standardised(rows, columns("signal"))[1], Parts(held.rows, held.others, held.search)
    together = solve_many_labels(own, rows.targets, parts)
    monkeypatch.setattr("regraft.heads.solving.many_labels._MOST_MARKS", 1)
    alone = solve_many_labels(own, rows.targets, parts)
    assert np.array_equal(together.strengths, alone.strengths)
    assert np.allclose(together.weights, alone.weights, atol=1e-3)
    assert np.allclose(together.out_of_fold, alone.out_of_fold, atol=1e-3)


def test_a_label_of_one_kind_gets_its_smoothed_share(tmp_path: Path) -> None:
    rows, held = labelled(tmp_path)
    rows.targets[:, 0] = 0
    rows.targets[:, 1] = NAN
    own, parts = standardised(rows, columns("signal"))[1], Parts(held.rows, held.others, held.search)
    solved = solve_many_labels(own, rows.targets, parts)
    assert np.allclose(solved.weights[:-1, :2], 0)
    assert np.allclose(solved.weights[-1, :2], [np.log(1 / (COUNT + 1)), 0])
    assert np.allclose(solved.out_of_fold[:, 0], np.log(1 / (len(held.others) + 1)))


def numbered(folder: Path, noise: float = 1.0) -> tuple[TrainingRows, HeldSample]:
    rows, _ = many(folder)
    matrix = rows.features.matrix(rows.keys, columns("signal")).astype(np.float64)
    draws = np.random.default_rng(1).normal(size=COUNT)
    numbers = replace(rows, targets=100 + matrix[:, 0] - 2 * matrix[:, 1] + noise * draws, task=Regression())
    return numbers, sample_of(numbers)


def test_a_number_has_the_ridge_regression_of_all_rows(tmp_path: Path, precision: str) -> None:
    rows, held = numbered(tmp_path)
    fitted = fit_head(rows, "ridge", [columns("noise", "signal")])
    own = standardised(rows, columns("noise", "signal"))[1].astype(np.float64)
    alpha = 1 / fitted.head.record.hyperparameters["C"]
    theirs = Ridge(alpha=alpha).fit(own, rows.targets)
    matrix = rows.features.matrix(rows.keys, columns("noise", "signal"))
    assert np.allclose(fitted.head.scores(matrix)[:, 0], theirs.predict(own), atol=1e-4)
    others = Ridge(alpha=alpha).fit(own[held.others], rows.targets[held.others])
    assert np.allclose(fitted.out_of_fold[:, 0], others.predict(own[held.rows]), atol=1e-4)
    assert fitted.folds == 1


@pytest.mark.parametrize("noise", [0.01, 5.0, 100.0])
def test_no_other_strength_predicts_the_held_out_numbers_better(tmp_path: Path, noise: float) -> None:
    rows, held = numbered(tmp_path, noise)
    own = standardised(rows, columns("noise", "signal"))[1].astype(np.float64)
    found = solve_many_numbers(own, rows.targets, held.rows, held.others)
    errors = []
    for strength in STRENGTHS:
        theirs = Ridge(alpha=1 / strength).fit(own[held.others], rows.targets[held.others])
        errors.append(float(np.mean((theirs.predict(own[held.rows]) - rows.targets[held.rows]) ** 2)))
    mine = float(np.mean((found.out_of_fold[:, 0] - rows.targets[held.rows]) ** 2))
    assert mine == pytest.approx(min(errors), rel=1e-6)


def test_numbers_in_small_blocks_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, held = numbered(tmp_path)
    stored = rows.features.stored(rows.keys, columns("noise", "signal"))
    blocks = RowBlocks(stored, np.zeros(12, np.float32), np.ones(12, np.float32))
    whole = solve_many_numbers(stored.astype(np.float32), rows.targets, held.rows, held.others)
    monkeypatch.setattr("regraft.heads.solving.row_blocks._BLOCK_NUMBERS", 12 * 17)
    parts = solve_many_numbers(blocks, rows.targets, held.rows, held.others)
    assert parts.strength == whole.strength
    assert np.allclose(parts.weights, whole.weights, rtol=1e-9)


@pytest.mark.parametrize("count", [10, 50], ids=["few", "many"])
def test_outputs_in_blocks_are_the_outputs(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(count, 3))
    whole = by_blocks(np.exp, rows)
    monkeypatch.setattr(rows_module, "MANY_ROWS", 20)
    monkeypatch.setattr(rows_module, "CHUNK_ROWS", 7)
    monkeypatch.setattr(rows_module, "_DOUBLE_BYTES", 1_000)
    parts = by_blocks(np.exp, rows)
    assert whole.dtype == np.float64
    assert parts.dtype == (np.float32 if count == 50 else np.float64)
    assert np.allclose(parts, np.exp(rows), rtol=1e-7 if count == 50 else 0)
