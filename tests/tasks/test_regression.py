from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from regraft.errors import DataError
from regraft.tasks.choosing import TASKS
from regraft.tasks.regression import Regression

TASK = Regression()


@pytest.mark.parametrize(
    ("cell", "label"),
    [("2.50", "2.5"), (" 0,125 ", "0.125"), ("1e-3", "0.001"), ("7.0", "7"), ("+.5", "0.5")],
    ids=["zeros", "comma", "power", "whole", "sign"],
)
def test_a_number_is_read_into_its_shortest_form(cell: str, label: str) -> None:
    assert TASK.read(cell) == label


@pytest.mark.parametrize("cell", ["nan", "inf", "1e999", "three", "", "1 000", "0x10"])
def test_what_is_no_finite_number_is_refused(cell: str) -> None:
    with pytest.raises(DataError, match=f"the label {cell!r} is not a finite number; accepted are numbers"):
        TASK.read(cell)


def test_a_comma_that_may_separate_thousands_is_refused() -> None:
    with pytest.raises(DataError, match=r"the number 1,234 can mean 1234 or 1\.234; write one of these"):
        TASK.read("1,234")


def test_scores_equal_those_of_scikit_learn() -> None:
    draws = np.random.default_rng(0)
    targets = draws.normal(1e6, 3.0, 80)
    outputs = targets[:, None] + draws.normal(size=(80, 1))
    scores = TASK.score(outputs, targets, method="test")
    assert scores.r_squared is not None
    assert scores.mean_absolute_error.value == pytest.approx(metrics.mean_absolute_error(targets, outputs))
    root = metrics.root_mean_squared_error(targets, outputs)
    assert scores.root_mean_squared_error.value == pytest.approx(root)
    assert scores.r_squared.value == pytest.approx(metrics.r2_score(targets, outputs))
    assert scores.r_squared.low is not None
    assert scores.r_squared.low < scores.r_squared.value


def test_the_variance_of_equal_numbers_can_not_be_explained() -> None:
    scores = TASK.score(np.array([[1.0], [2.0]]), np.array([0.1, 0.1]), method="test")
    assert scores.r_squared is None
    assert {one.name: one.text for one in TASK.measures(scores)}["r_squared"] == "not defined"


def test_the_interval_of_the_error_covers_the_true_error_as_often_as_it_says() -> None:
    """The mean absolute error of standard normal errors is sqrt(2 / pi)."""
    draws, hits = np.random.default_rng(0), 0
    for _ in range(100):
        errors = draws.normal(size=(60, 1))
        estimate = TASK.score(errors, np.zeros(60), method="test").mean_absolute_error
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= (2 / np.pi) ** 0.5 <= estimate.high
    assert 88 <= hits <= 99


def test_strata_are_about_equally_large_and_keep_equal_numbers_together() -> None:
    targets = np.concatenate([np.zeros(70), np.arange(1.0, 31.0)])
    strata = TASK.strata(np.random.default_rng(0).permutation(targets))
    assert np.bincount(strata).tolist() == [70, 10, 10, 10]
    assert len(set(TASK.strata(targets)[:70].tolist())) == 1


def test_the_answer_has_the_decided_interval() -> None:
    residuals = np.arange(1.0, 20.0)  # 19 errors: the ceil(0.9 x 20) = 18th is 18
    decided = TASK.decided(np.zeros((19, 1)), residuals)
    assert decided.half_width == 18.0
    assert decided.answer(np.array([20.0])).cells == {"value": "20", "low": "2", "high": "38"}
    assert TASK.answer(np.array([20.0])).cells == {"value": "20", "low": "", "high": ""}


def test_goodness_is_read_back_from_a_row() -> None:
    output = np.array([0.123456789])
    cells = dict(zip(TASK.columns, TASK.row(output), strict=True))
    good = float(TASK.goodness(output[None], np.array([3.5]))[0])
    assert TASK.goodness_of({"label": "3.5", **cells}) == pytest.approx(good, abs=1e-7)


def test_the_span_is_what_a_perfect_model_gains() -> None:
    targets = np.array([1.0, 2.0, 6.0])  # mean 3, absolute errors 2, 1, 3
    assert TASK.span(targets) == pytest.approx(2.0)
    assert TASK.merit(TASK.goodness(TASK.baseline(targets, 3), targets)).value == pytest.approx(2.0)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_its_own_name_and_is_saved_with_it(name: str) -> None:
    labels = ["1", "2"]
    task = TASKS[name].of(labels)  # type: ignore[index]
    assert task.name == name
    assert task.model_dump()["name"] == name
    assert len(task.row(np.full(len(task.outputs), 0.5))) == len(task.columns)
