from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from regraft.errors import SettingsError
from regraft.tasks.classes.ordering import ordered_classes, quadratic_kappa


@pytest.mark.parametrize("seed", range(5))
def test_the_kappa_is_scikit_learns(seed: int) -> None:
    draws = np.random.default_rng(seed)
    truth, answers = draws.integers(0, 5, 60), draws.integers(0, 5, 60)
    matrix = confusion_matrix(truth, answers, labels=range(5))
    expected = cohen_kappa_score(truth, answers, weights="quadratic")
    assert quadratic_kappa(matrix[None])[0] == pytest.approx(expected, abs=1e-12)


def test_the_kappa_of_a_single_class_is_not_defined() -> None:
    assert np.isnan(quadratic_kappa(np.array([[[3, 0], [0, 0]]]))[0])


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("grade-10", "grade-9", "grade-8"), ("grade-8", "grade-9", "grade-10")),
        (("10", "9", "-1.5"), ("-1.5", "9", "10")),
        (("b", "a2", "c"), ("a2", "b", "c")),
        (("stage 2a", "stage 2", "stage 1"), ("stage 1", "stage 2", "stage 2a")),
    ],
)
def test_sorted_goes_by_number_if_every_class_has_its_own(
    classes: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert ordered_classes(["sorted"], classes) == expected


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["low", "high"], "--ordered low,high: mid is missing. Accepted are all classes"),
        (["low", "mid", "hihg"], "high is missing; hihg is not a class (did you mean high?)"),
        (["low", "mid", "mid", "high"], "mid is named twice"),
    ],
)
def test_an_order_that_does_not_fit_is_explained(named: list[str], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        ordered_classes(named, ["high", "low", "mid"])
    assert re.search(re.escape(message), error.value.with_flags)
