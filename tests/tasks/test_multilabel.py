from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from regraft.errors import DataError
from regraft.tasks.multilabel import Multilabel, from_columns

NAN = float("nan")


def predicted(count: int = 200, width: int = 4, *, unknown: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(1)
    targets = (draws.random((count, width)) < [0.5, 0.3, 0.1, 0.05][:width]).astype(np.float32)
    outputs = 1 / (1 + np.exp(-(targets + draws.normal(size=targets.shape)).round(1)))
    targets[draws.random(targets.shape) < unknown] = NAN
    return outputs, targets


def task(width: int = 4) -> Multilabel:
    return Multilabel(outputs=tuple("abcd"[:width]))


@pytest.mark.parametrize(
    ("cell", "label"),
    [("b|a", "a|b"), ("  a  ", "a"), ("", ""), ("|a||a|", "a")],
    ids=["sorted", "blanks", "none", "repeated"],
)
def test_a_cell_is_read_into_one_form(cell: str, label: str) -> None:
    assert Multilabel.read(cell) == label


def test_a_name_with_the_mark_of_unknown_labels_is_refused() -> None:
    with pytest.raises(DataError, match=r"the label '\?a' begins with \?"):
        Multilabel.read("b|?a")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["-1", "0"], "a is '-1'; accepted are 1 .present., 0 .absent. and an empty cell"),
        ([None, " "], "none of its 2 labels is known"),
    ],
    ids=["another number", "nothing known"],
)
def test_columns_of_anything_else_are_refused(cells: list[str | None], message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_columns(["a", "b"], cells)


def test_columns_become_targets_with_unknown_entries() -> None:
    labels = [from_columns(["a", "b", "c", "d"], cells) for cells in (["1", "0", "", "true"], ["0"] * 4)]
    assert labels == ["a|d|?c", ""]
    expected = [[1, 0, NAN, 1], [0, 0, 0, 0]]
    assert np.array_equal(task().targets(labels), np.array(expected, dtype=np.float32), equal_nan=True)


def test_images_without_labels_are_a_stratum() -> None:
    strata = Multilabel.strata(np.array([[1, 0], [0, NAN], [1, 1]]))
    assert strata.astype(int).tolist() == [[1, 0, 0], [0, 0, 1], [1, 1, 0]]


def test_scores_equal_those_of_scikit_learn() -> None:
    outputs, targets = predicted(unknown=0.0)
    scores = task().score(outputs, targets, method="test")
    calls = outputs >= 0.5
    for one, chances, truth in zip(scores.labels, outputs.T, targets.T, strict=True):
        assert one.auroc is not None
        assert one.average_precision is not None
        assert one.auroc.value == pytest.approx(metrics.roc_auc_score(truth, chances))
        assert one.average_precision.value == pytest.approx(metrics.average_precision_score(truth, chances))
    assert scores.micro_f1.value == pytest.approx(metrics.f1_score(targets, calls, average="micro"))
    assert scores.macro_f1.value == pytest.approx(
        metrics.f1_score(targets, calls, average="macro", zero_division=0)
    )
    assert scores.brier_score.value == pytest.approx(((outputs - targets) ** 2).mean())


def test_unknown_entries_are_part_of_no_score() -> None:
    outputs, targets = predicted()
    known = task().score(outputs, targets, method="test", seed=2)
    outputs[np.isnan(targets)] = 0.987
    assert task().score(outputs, targets, method="test", seed=2) == known


def test_what_is_unknown_of_one_label_changes_no_other_label() -> None:
    outputs, targets = predicted()
    masked = targets.copy()
    masked[:50, 0] = NAN
    before, after = (task().score(outputs, some, method="test").labels[1:] for some in (targets, masked))
    assert before == after


def test_a_label_that_no_test_image_has_is_not_defined() -> None:
    outputs, targets = predicted(unknown=0.0)
    targets[:, 3] = 0
    scores = task().score(outputs, targets, method="test")
    assert (scores.labels[3].auroc, scores.labels[3].average_precision) == (None, None)
    shown = {(one.name, one.output): one.text for one in task().measures(scores)}
    assert shown["auroc", "d"] == "not defined"
    assert scores.macro_auroc is not None
    defined = [one.auroc.value for one in scores.labels if one.auroc is not None]
    assert scores.macro_auroc.value == pytest.approx(np.mean(defined))


def test_nothing_is_defined_if_no_label_is_known() -> None:
    outputs, targets = predicted(30)
    scores = task().score(outputs, np.full_like(targets, NAN), method="test")
    assert (scores.macro_auroc, scores.macro_average_precision) == (None, None)


def test_no_probability_is_better_than_the_true_one() -> None:
    """Expected goodness at a probability q, if the label is present with probability 0.3, by hand."""
    levels = np.linspace(0, 1, 11)[:, None]
    present, absent = (task(1).goodness(levels, np.full((11, 1), value)) for value in (1.0, 0.0))
    assert np.argmax(0.3 * present + 0.7 * absent) == 3


def test_goodness_is_read_back_from_a_row() -> None:
    outputs, targets = predicted(20)
    for output, target, good in zip(outputs, targets, task().goodness(outputs, targets), strict=True):
        names = [
            f"?{name}" if value != value else name
            for name, value in zip("abcd", target, strict=True)
            if value != 0
        ]
        cells = dict(zip(task().columns, task().row(output), strict=True))
        assert task().goodness_of({"label": "|".join(names), **cells}) == pytest.approx(good, abs=1e-5)


def test_the_baseline_is_the_smoothed_share_of_known_images() -> None:
    """Label a: 1 of 2 known, (1 + 1) / (2 + 2); label b: 0 of 3 known, 1 / 5."""
    targets = np.array([[1, 0], [0, 0], [NAN, 0]])
    assert np.allclose(task(2).baseline(targets, 2), [[0.5, 0.2]] * 2)


def test_decided_thresholds_are_used_and_saved() -> None:
    outputs = np.array([[0.1, 0.6], [0.3, 0.8], [0.2, 0.9]])
    decided = task(2).decided(outputs, np.array([[0.0, 0], [1, 1], [0, 1]]))
    assert decided.thresholds == pytest.approx((0.25, 0.7))
    assert decided.answer(np.array([0.26, 0.69])).facts["labels"] == ["a"]
    assert Multilabel.model_validate_json(decided.model_dump_json()) == decided


def test_labels_may_be_called_like_the_columns_of_predictions() -> None:
    task = Multilabel(outputs=("label", "path", "snow"))
    output = np.array([0.9, 0.2, 0.6])
    header = ("path", "side", "label", *task.columns)
    assert len(set(header)) == len(header)
    row = dict(zip(header, ("1.png", "test", "label|snow", *task.row(output)), strict=True))
    expected = task.goodness(output[None], task.targets(["label|snow"]))[0]
    assert task.goodness_of(row) == pytest.approx(expected, abs=1e-6)
    assert "path" not in task.answer(output).cells
