from __future__ import annotations

import numpy as np
import pytest

from regraft.cli.commands.fit import show_scores
from regraft.tasks.choosing import TASKS, task_of
from regraft.tasks.classification import Classification
from regraft.tasks.groups import group_remark, group_score
from regraft.tasks.score_sheet import ScoreSheet
from regraft.tasks.task import Task

TASK = Classification(outputs=("ant", "bee"))
CASES = {
    "classification": ["ant", "bee"] * 30,
    "multilabel": ["ant", "ant|bee", "", "bee|?ant"] * 15,
    "regression": ["1", "2.5", "4"] * 20,
}


def predicted(task: Task, labels: list[str]) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    outputs = draws.random((len(labels), len(task.outputs)))
    return outputs / outputs.sum(axis=1, keepdims=True) if task.link == "softmax" else outputs, task.targets(
        labels
    )


@pytest.mark.parametrize("name", TASKS)
def test_groups_of_one_image_change_nothing(name: str) -> None:
    labels = CASES[name]
    task = task_of(name, labels)  # type: ignore[arg-type]
    outputs, targets = predicted(task, labels)
    alone = [f"image {number}" for number in range(len(labels))]
    plain = task.score(outputs, targets, method="test", seed=4)
    assert task.score(outputs, targets, method="test", groups=alone, seed=4).model_dump_json() == (
        plain.model_dump_json()
    )
    assert "group" not in plain.model_dump_json()
    goodness = task.goodness(outputs, targets)
    assert task.merit(goodness, groups=alone, seed=4) == task.merit(goodness, seed=4)


@pytest.mark.parametrize("name", TASKS)
def test_copies_of_images_do_not_narrow_intervals_of_their_groups(name: str) -> None:
    labels = CASES[name]
    task = task_of(name, labels)  # type: ignore[arg-type]
    if name == "regression":
        task = task.model_copy(update={"half_width": 1.5})  # type: ignore[attr-defined]
    outputs, targets = predicted(task, labels)
    groups = [str(number) for number in range(len(labels))] * 9
    once = task.score(outputs, targets, method="test")
    many = task.score(np.tile(outputs.T, 9).T, np.tile(targets.T, 9).T, method="test", groups=groups)
    assert (many.groups, many.method) == (60, "test, by group (60 groups)")
    by_name = {(one.name, one.output): one for one in task.measures(many)}
    for one in task.measures(once):
        other = by_name[one.name, one.output]
        assert other.value == pytest.approx(one.value)
        if one.low is not None and one.high is not None:
            assert other.low is not None
            assert other.high is not None
            assert (other.high - other.low) > 0.8 * (one.high - one.low), one.name


@pytest.mark.parametrize("name", TASKS)
def test_the_merit_is_the_first_of_the_grouped_scores(name: str) -> None:
    labels = CASES[name]
    task = task_of(name, labels)  # type: ignore[arg-type]
    outputs, targets = predicted(task, labels)
    groups = [str(number // 3) for number in range(len(labels))]
    merit = task.merit(task.goodness(outputs, targets), groups=groups)
    scores = {one.name: one for one in task.measures(task.score(outputs, targets, method="", groups=groups))}
    assert merit.value == pytest.approx(scores[merit.name].value)
    assert (merit.low, merit.high) == pytest.approx(
        (scores[merit.name].low, scores[merit.name].high), rel=0.2
    )


def test_a_group_is_predicted_by_the_mean_of_its_images() -> None:
    outputs = np.array([[0.9, 0.1], [0.4, 0.6], [0.45, 0.55], [0.3, 0.7], [0.2, 0.8]])
    targets = TASK.targets(["ant", "ant", "ant", "ant", "bee"])
    found = group_score(TASK, outputs, targets, ["ann", "ann", "bob", "bob", "carl"])
    assert found is not None
    assert found.score is not None
    assert (found.groups, found.mixed, found.measure) == (3, 0, "accuracy")
    assert found.score.value == pytest.approx(2 / 3)  # ann 0.65 for ant, bob 0.375, carl 0.8 for bee


def test_groups_of_different_labels_are_only_counted_by_image() -> None:
    outputs = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    scores = TASK.score(outputs, TASK.targets(["ant", "bee", "bee"]), method="", groups=["a", "a", "b"])
    assert scores.by_group is not None
    assert (scores.by_group.groups, scores.by_group.mixed) == (1, 1)
    assert "1 group has images with different labels, which are only counted image by image" in (
        group_remark(scores)
    )
    mixed = TASK.score(outputs[:2], TASK.targets(["ant", "bee"]), method="", groups=["a", "a"])
    assert mixed.by_group is not None
    assert mixed.by_group.score is None
    assert {one.name: one.text for one in TASK.measures(mixed)}["accuracy_by_group"] == "not defined"


def test_the_terminal_says_in_words_what_is_counted_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]])
    targets = TASK.targets(["ant", "ant", "bee", "bee"])
    grouped = TASK.score(outputs, targets, method="test images", groups=["a", "a", "b", "c"])
    plain = TASK.score(outputs, targets, method="other images")
    show_scores(ScoreSheet(test=grouped, validation=plain, baseline=None))
    lines = capsys.readouterr().out.splitlines()
    assert "test: test images, by group (3 groups)" in lines
    assert "validation: other images" in lines
    assert any(line.startswith("by group: a group's prediction is the mean") for line in lines)
