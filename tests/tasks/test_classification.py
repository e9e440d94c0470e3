from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regraft.errors import DataError
from regraft.evaluation.scores import majority, score
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
    assert TASK.score(outputs, targets, method="test", seed=3) == expected
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
