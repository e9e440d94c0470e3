from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from regraft.errors import DataError
from regraft.evaluation.scores import majority, score
from regraft.records import ClassMeasure
from regraft.runs.writing import write_scores
from regraft.tasks.classification import Classification
from regraft.tasks.score_sheet import ScoreSheet

TASK = Classification(outputs=("ant", "bee", "cat"))


def predicted(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    scores = draws.normal(size=(count, 3))
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), draws.integers(0, 3, count)


def test_scores_and_baseline_are_those_of_the_evaluation() -> None:
    outputs, targets = predicted()
    expected = score(outputs, targets, TASK.outputs, method="test", seed=3)
    found = TASK.score(outputs, targets, method="test", seed=3)
    same = {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "calibration_error", "confusion"}
    assert found.model_dump(include=same) == expected.model_dump(include=same)
    assert np.array_equal(TASK.baseline(targets, 5), majority(targets, 5, 3))


def test_the_merit_of_goodness_is_the_accuracy_of_the_scores() -> None:
    outputs, targets = predicted()
    merit = TASK.merit(TASK.goodness(outputs, targets))
    accuracy = TASK.score(outputs, targets, method="test").accuracy
    assert (merit.value, merit.low, merit.high) == (accuracy.value, accuracy.low, accuracy.high)


def test_measures_are_the_rows_of_a_runs_scores(tmp_path: Path) -> None:
    outputs, targets = predicted()
    scores = TASK.score(outputs, targets, method="test")
    write_scores(tmp_path, ScoreSheet(test=scores, validation=None, baseline=None))
    lines = [line.split(",") for line in (tmp_path / "scores.csv").read_text().splitlines()[1:]]
    found = [(one.name, one.output, one.value, one.images) for one in TASK.measures(scores)]
    assert found == [(line[1], line[2], float(line[3]), int(line[6])) for line in lines]


def test_goodness_is_read_back_from_a_row() -> None:
    outputs, targets = predicted()
    for output, target, good in zip(outputs, targets, TASK.goodness(outputs, targets), strict=True):
        cells = dict(zip(TASK.columns, TASK.row(output), strict=True))
        assert TASK.goodness_of({"label": TASK.outputs[target], **cells}) == good


def test_an_answer_lists_the_most_probable_classes_first() -> None:
    answer = TASK.answer(np.array([0.2, 0.7, 0.1]), top=2)
    assert list(answer.cells.items()) == [
        ("label", "bee"),
        ("probability", "0.700000"),
        ("label_2", "ant"),
        ("probability_2", "0.200000"),
    ]
    assert answer.facts == {"label": "bee", "probability": 0.7, "top": [["bee", 0.7], ["ant", 0.2]]}


def test_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="all 3 labels are ant; at least 2 classes are needed"):
        Classification.of(["ant"] * 3)


def test_classes_may_be_called_like_the_columns_of_predictions() -> None:
    task = Classification(outputs=("label", "path", "predicted", "probability of path"))
    header = ("path", "side", "label", *task.columns)
    assert len(set(header)) == len(header)
    row = dict(zip(header, ("1.png", "test", "path", *task.row(np.array([0.1, 0.7, 0.1, 0.1]))), strict=True))
    assert (row["path"], row["label"], row["predicted"]) == ("1.png", "path", "path")
    assert (row["probability of path"], task.goodness_of(row)) == ("0.700000", 1.0)


MEASURES = ("accuracy", "balanced", "auroc", "log-loss")


@pytest.mark.parametrize("measure", MEASURES)
def test_the_merit_is_the_score_that_is_listed_first(measure: ClassMeasure) -> None:
    outputs, targets = predicted()
    task = TASK.model_copy(update={"measure": measure})
    merit = task.merit(task.goodness(outputs, targets), targets=targets)
    first = task.measures(task.score(outputs, targets, method="test"))[0]
    assert (merit.name, merit.value) == (first.name, pytest.approx(first.value, abs=1e-12))
    assert (merit.low, merit.high) == pytest.approx((first.low, first.high), abs=0.03)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_goodness_of_a_table_is_that_of_the_outputs(measure: ClassMeasure) -> None:
    outputs, targets = predicted()
    task = TASK.model_copy(update={"measure": measure})
    rows = [
        {"label": task.outputs[target], **dict(zip(task.columns, task.row(output), strict=True))}
        for output, target in zip(outputs, targets, strict=True)
    ]
    assert task.goodness_in(rows) == pytest.approx(task.goodness(outputs, targets), abs=1e-4)


def test_of_many_classes_a_table_says_nothing_about_probabilities() -> None:
    task = Classification(outputs=tuple(f"{one:03d}" for one in range(60)))
    rows = [{"label": "000", "predicted": "000"}, {"label": "001", "predicted": "000"}]
    assert task.model_copy(update={"measure": "auroc"}).goodness_in(rows) is None
    balanced = task.model_copy(update={"measure": "balanced"}).goodness_in(rows)
    assert balanced is not None
    assert balanced.tolist() == [1.0, 0.0]


ILL = Classification(outputs=("ill", "well"), positive="ill", goal="sensitivity=1")


def test_a_goal_decides_the_threshold_which_decides_the_answer() -> None:
    outputs = np.array([[0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])
    task = ILL.decided(outputs, np.array([0, 1, 1]))
    assert task.threshold == pytest.approx(0.25)
    assert [task.answer(one).text for one in outputs] == ["ill", "well", "well"]
    answer = task.answer(outputs[0], top=2)
    assert answer.facts == {"label": "ill", "probability": 0.3, "top": [["ill", 0.3], ["well", 0.7]]}
    assert task.row(outputs[0])[:2] == ("ill", "0.300000")


def test_without_a_goal_nothing_is_decided() -> None:
    outputs, targets = predicted()
    assert TASK.decided(outputs, targets) is TASK


def test_an_answer_that_is_not_certain_enough_is_rejected_by_name() -> None:
    task = TASK.model_copy(update={"reject_below": 0.6})
    unsure, sure = (task.answer(np.array(one)) for one in ([0.3, 0.5, 0.2], [0.1, 0.6, 0.3]))
    assert (unsure.text, unsure.cells["rejected"], unsure.facts["label"]) == ("", "bee", None)
    assert (sure.text, sure.cells["rejected"], sure.facts["rejected"]) == ("bee", "", None)
    assert list(unsure.cells) == ["label", "probability", "rejected"]


@pytest.mark.parametrize(
    "wrong",
    [{"positive": "ant"}, {"threshold": 0.5}, {"ordered": ("ant", "bee")}, {"measure": "f1"}],
    ids=str,
)
def test_a_damaged_record_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Classification.model_validate({"outputs": TASK.outputs, **wrong})


def test_a_record_says_only_what_is_special() -> None:
    assert TASK.model_dump() == {"name": "classification", "outputs": TASK.outputs}
    assert TASK.is_plain
    assert not ILL.is_plain
    assert Classification.model_validate(ILL.model_dump(mode="json")) == ILL
