from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from regraft.detection.solved.sums import FoldSums
from regraft.errors import DataError

Sample = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture
def sample() -> Sample:
    """Rows whose columns differ in spread and are not centred, targets, weights and folds."""
    generator = np.random.default_rng(0)
    rows = generator.normal(3, np.geomspace(0.1, 5, 6), (90, 6))
    targets = rows @ generator.normal(size=(6, 2)) + generator.normal(size=(90, 2))
    return rows, targets, generator.uniform(0.1, 2, 90), generator.integers(0, 3, 90)


def summed(sample: Sample, *, is_weighted: bool) -> FoldSums:
    rows, targets, weights, folds = sample
    sums = FoldSums(6, 2, 3)
    for part in np.array_split(np.arange(90), 7):  # in pieces that hold rows of one fold each
        for fold in range(3):
            own = part[folds[part] == fold]
            sums.add(rows[own], targets[own], fold=fold, weights=weights[own] if is_weighted else None)
    return sums


@pytest.mark.parametrize("without", [None, 0, 2])
@pytest.mark.parametrize("is_weighted", [True, False], ids=["weighted", "plain"])
@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_solutions_are_those_of_ridge_regression(
    sample: Sample, without: int | None, is_weighted: bool, strength: float
) -> None:
    rows, targets, weights, folds = sample
    used = np.full(90, True) if without is None else folds != without
    shares = weights[used] if is_weighted else np.ones(used.sum())
    centred = rows[used] - np.average(rows[used], axis=0, weights=shares)
    penalty = strength * float((shares[:, None] * centred**2).sum()) / 6
    ridge = Ridge(alpha=penalty).fit(rows[used], targets[used], sample_weight=shares)
    found = summed(sample, is_weighted=is_weighted).solved(strength, without=without)
    assert pytest.approx(ridge.coef_, rel=1e-5, abs=1e-7) == found[:-1].T
    assert found[-1] == pytest.approx(ridge.intercept_, rel=1e-5)


def test_solving_leaves_the_sums_as_they_are(sample: Sample) -> None:
    sums = summed(sample, is_weighted=True)
    first = sums.solved(0.1, without=1)
    sums.solved(0.5)
    assert np.array_equal(sums.solved(0.1, without=1), first)


def test_a_fold_that_has_all_rows_can_not_be_left_out(sample: Sample) -> None:
    sums = FoldSums(6, 2, 2)
    sums.add(sample[0], sample[1], fold=1)
    with pytest.raises(DataError, match="no boxes to learn from in the pictures that remain"):
        sums.solved(0.1, without=1)


@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_the_error_of_left_out_folds_is_that_of_their_predictions(sample: Sample, strength: float) -> None:
    rows, targets, weights, folds = sample
    sums, total = summed(sample, is_weighted=True), 0.0
    for fold in range(3):
        own, slopes = folds == fold, sums.solved(strength, without=fold)
        misses = rows[own] @ slopes[:-1] + slopes[-1] - targets[own]
        total += float((weights[own, None] * misses**2).sum())
    assert sums.error(strength) == pytest.approx(total / weights.sum(), rel=1e-9)
