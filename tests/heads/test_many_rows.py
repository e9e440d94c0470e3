"""Heads on many rows; the tests lower the number from which rows are many."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from regraft.data.splits import fold_numbers
from regraft.heads import many_rows
from regraft.heads.fitting import fit_head
from regraft.heads.many_rows import HeldSample, held_sample
from regraft.heads.rows import TrainingRows, standardised
from regraft.records import HeadKind
from tests.heads.test_heads import columns, data

KINDS: list[HeadKind] = ["ridge", "logistic", "linear-svm", "rbf-svm", "centroid", "head2toe"]


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 200 rows on they are many; at most 60 are held out, and kernels of all rows are not used."""
    monkeypatch.setattr(many_rows, "MANY_ROWS", 200)
    monkeypatch.setattr(many_rows, "MOST_HELD", 60)
    monkeypatch.setattr("regraft.heads.kernel.EXACT_KERNEL_MAX", 150)


def held(rows: TrainingRows) -> HeldSample:
    found = held_sample(rows)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_rows_are_all_cross_validated(tmp_path: Path, kind: HeadKind) -> None:
    fitted = fit_head(data(tmp_path)[0], kind, [columns("signal")])
    assert fitted.sample is None
    assert fitted.out_of_fold.shape == (240, 3)
    assert fitted.folds == 5


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("kind", KINDS)
def test_a_head_on_many_rows_is_validated_on_the_sample(tmp_path: Path, kind: HeadKind) -> None:
    rows, features = data(tmp_path, count=600)
    fitted = fit_head(rows, kind, [columns("signal")])
    assert fitted.sample is not None
    assert len(fitted.out_of_fold) == len(fitted.sample) == 60
    assert (fitted.out_of_fold.argmax(axis=1) == rows.targets[fitted.sample]).mean() > 0.85
    chances = fitted.head.probabilities(features.matrix(rows.keys, columns("signal")))
    assert (chances.argmax(axis=1) == rows.targets).mean() > 0.9


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_also_chooses_the_stage_that_knows(tmp_path: Path, kind: HeadKind) -> None:
    rows, _ = data(tmp_path, count=300)
    fitted = fit_head(rows, kind, [columns("noise"), columns("signal")])
    assert {column.stage for column in fitted.head.record.columns} == {"signal"}
    merits = [merit.value or 0.0 for _, merit in fitted.trials]
    assert merits[1] > merits[0] + 0.2


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_labels_of_the_held_out_groups_do_not_reach_what_predicts_them(
    tmp_path: Path, kind: HeadKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other labels of linked images, not themselves predicted, change nothing at a given strength."""
    monkeypatch.setattr(TrainingRows, "doubt", "so that the strength is given")
    rows, _ = data(tmp_path, count=600)
    pairs = replace(rows, groups=tuple(str(number // 6) for number in range(600)))
    sample = held(pairs)
    linked = np.setdiff1d(np.arange(600), np.concatenate([sample.rows, sample.others]))
    assert len(linked)
    labels = pairs.targets.copy()
    labels[linked] = (labels[linked] + 1) % 3
    monkeypatch.setattr("regraft.heads.linear.held_sample", lambda data: sample)
    monkeypatch.setattr("regraft.heads.ridge.held_sample", lambda data: sample)
    one, other = (
        fit_head(replace(pairs, targets=own), kind, [columns("signal")]) for own in (pairs.targets, labels)
    )
    assert np.allclose(one.out_of_fold, other.out_of_fold, atol=1e-4)
    assert not np.allclose(one.head.arrays["weights"], other.head.arrays["weights"], atol=1e-4)


@pytest.mark.usefixtures("few_are_many")
def test_what_is_held_out_is_a_part_of_what_a_training_holds_out(tmp_path: Path) -> None:
    rows, _ = data(tmp_path, count=600)
    numbers = fold_numbers(rows.strata, rows.groups, folds=7, seed=0)
    assert set(held(rows).rows) <= set(np.flatnonzero(numbers == 0))


@pytest.mark.usefixtures("few_are_many")
def test_all_rows_outside_of_the_samples_groups_are_fitted(tmp_path: Path) -> None:
    rows, _ = data(tmp_path, count=600)
    pairs = replace(rows, groups=tuple(str(number // 2) for number in range(600)))
    sample = held(pairs)
    linked = {pairs.groups[row] for row in sample.rows}
    assert [row for row in range(600) if pairs.groups[row] not in linked] == sample.others.tolist()
    assert len(held(rows).others) == 540


@pytest.mark.usefixtures("few_are_many")
def test_two_groups_alone_leave_one_to_learn_from(tmp_path: Path) -> None:
    rows, _ = data(tmp_path, count=240)
    halves = replace(rows, groups=tuple("ab"[number % 2] for number in range(240)))
    sample = held(halves)
    assert {halves.groups[row] for row in sample.rows} != {halves.groups[row] for row in sample.others}
    assert len(sample.others) == 120


@pytest.mark.usefixtures("few_are_many")
def test_the_final_weights_are_the_optimum_on_all_rows(tmp_path: Path) -> None:
    rows, _ = data(tmp_path, count=600, spread=1)
    fitted = fit_head(rows, "logistic", [columns("noise", "signal")])
    own = standardised(rows, columns("noise", "signal"))[1]
    strength = fitted.head.record.hyperparameters["C"]
    theirs = LogisticRegression(C=strength, tol=1e-8, max_iter=5_000).fit(own, rows.targets)
    chances = fitted.head.probabilities(rows.features.matrix(rows.keys, columns("noise", "signal")))
    assert np.allclose(chances, theirs.predict_proba(own), atol=5e-3)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("kind", ["ridge", "logistic", "linear-svm", "rbf-svm", "head2toe"])
def test_rows_in_half_precision_give_the_same_head(
    tmp_path: Path, kind: HeadKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = data(tmp_path, count=600)
    single = fit_head(rows, kind, [columns("noise", "constant")])
    monkeypatch.setattr(many_rows, "_SINGLE_BYTES", 0)
    half = fit_head(rows, kind, [columns("noise", "constant")])
    assert half.head.record.hyperparameters == single.head.record.hyperparameters
    assert np.allclose(half.out_of_fold, single.out_of_fold, atol=1e-3)
    for name, array in single.head.arrays.items():
        assert np.allclose(half.head.arrays[name], array, atol=1e-3)


@pytest.mark.parametrize("limit", [150, 10_000], ids=["many", "few"])
def test_a_head_on_a_sample_counts_its_rows_as_the_data_does(
    tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_rows, "MANY_ROWS", limit)
    rows, _ = data(tmp_path, count=600)
    fitted = fit_head(rows, "ridge", [columns("signal")], most=200)
    assert fitted.fitted_on == 200
    assert fitted.sample is not None
    assert (fitted.out_of_fold.argmax(axis=1) == rows.targets[fitted.sample]).mean() > 0.85


def test_a_limit_above_the_number_of_rows_changes_nothing(tmp_path: Path) -> None:
    rows, _ = data(tmp_path)
    whole, limited = (fit_head(rows, "ridge", [columns("signal")], most=most) for most in (None, 240))
    assert np.array_equal(whole.out_of_fold, limited.out_of_fold)
    assert limited.fitted_on is None
