from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from sklearn.svm import SVC

from regraft.features.extraction import Features
from regraft.heads.fitting import fit_head
from regraft.heads.head import softmax, squared_distances, vote
from regraft.heads.rows import Candidate, TrainingRows, best_temperature
from regraft.records import Column, HeadKind, columns_of
from regraft.storage.rows import RowStore
from regraft.tasks.classification import Classification

KINDS: list[HeadKind] = ["ridge", "logistic", "linear-svm", "rbf-svm", "centroid", "head2toe"]
LAYOUT = (
    Column(stage="noise", statistic="mean", start=0, stop=6),
    Column(stage="signal", statistic="mean", start=6, stop=12),
    Column(stage="constant", statistic="mean", start=12, stop=14),
)


def classification(classes: int) -> Classification:
    return Classification(outputs=tuple(map(str, range(classes))))


def data(
    folder: Path, count: int = 240, classes: int = 3, seed: int = 0, spread: float = 2
) -> tuple[TrainingRows, Features]:
    """Features of which the middle stage tells the classes apart, and the last is constant."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    rows = generator.normal(size=(count, 14)).astype(np.float16)
    rows[:, 6:12] += spread * generator.normal(size=(classes, 6))[labels].astype(np.float16)
    rows[:, 12:] = 3
    keys = tuple(hashlib.sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(count))
    table = dict(zip(keys, rows, strict=True))
    store = RowStore(folder, width=14, dtype=np.float16, facts={})
    features = Features(store.ensure(keys, lambda asked: [(key, table[key]) for key in asked]), LAYOUT, ())
    return TrainingRows(features, keys, labels, keys, classification(classes)), features


def columns(*stages: str) -> Candidate:
    return columns_of(LAYOUT, stages)


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_learns_and_its_probabilities_sum_to_one(tmp_path: Path, kind: HeadKind) -> None:
    rows, features = data(tmp_path)
    fitted = fit_head(rows, kind, [columns("signal", "constant")])
    probabilities = fitted.head.probabilities(features.matrix(rows.keys, fitted.head.record.columns))
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (fitted.out_of_fold.argmax(axis=1) == rows.targets).mean() > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_cross_validation_chooses_the_stage_that_knows(tmp_path: Path, kind: HeadKind) -> None:
    rows, _ = data(tmp_path)
    fitted = fit_head(rows, kind, [columns("noise"), columns("signal")])
    assert {column.stage for column in fitted.head.record.columns} == {"signal"}
    merits = [merit.value or 0.0 for _, merit in fitted.trials]
    assert merits[1] > merits[0] + 0.2


@pytest.mark.parametrize("kind", KINDS)
def test_fitting_twice_gives_the_same_bits(tmp_path: Path, kind: HeadKind) -> None:
    rows, _ = data(tmp_path)
    one, other = (fit_head(rows, kind, [columns("noise", "signal")]) for _ in range(2))
    assert one.head.record == other.head.record
    for name, array in one.head.arrays.items():
        assert np.array_equal(array, other.head.arrays[name])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_cross_validated_accuracy_of_noise_is_chance(tmp_path: Path, kind: HeadKind) -> None:
    accuracies = []
    for seed in range(6):
        rows, _ = data(tmp_path / str(seed), count=300, classes=2, seed=seed)
        fitted = fit_head(rows, kind, [columns("noise")])
        accuracies.append((fitted.out_of_fold.argmax(axis=1) == rows.targets).mean())
    assert abs(np.mean(accuracies) - 0.5) < 0.07


def test_calibration_never_changes_a_label(tmp_path: Path) -> None:
    rows, features = data(tmp_path)
    head = fit_head(rows, "rbf-svm", [columns("noise", "signal")]).head
    matrix = features.matrix(rows.keys, head.record.columns)
    assert np.array_equal(head.scores(matrix).argmax(axis=1), head.probabilities(matrix).argmax(axis=1))


def test_the_nystroem_head_agrees_with_the_exact_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, features = data(tmp_path)
    exact = fit_head(rows, "rbf-svm", [columns("noise", "signal")])
    monkeypatch.setattr("regraft.heads.kernel.EXACT_KERNEL_MAX", 100)
    approximate = fit_head(rows, "rbf-svm", [columns("noise", "signal")])
    assert "map" in approximate.head.arrays
    matrix = features.matrix(rows.keys, columns("noise", "signal"))
    labels = [fitted.head.scores(matrix).argmax(axis=1) for fitted in (exact, approximate)]
    assert (labels[0] == labels[1]).mean() > 0.93


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_votes_equal_those_of_libsvm(classes: int) -> None:
    generator = np.random.default_rng(classes)
    labels = generator.integers(0, classes, 150)
    rows = generator.normal(size=(classes, 5))[labels] + generator.normal(size=(150, 5))
    kernel = np.exp(-0.3 * squared_distances(rows, rows))
    theirs = SVC(C=5.0, kernel="precomputed", decision_function_shape="ovr").fit(kernel, labels)
    sign = -1 if classes == 2 else 1
    ours = vote(
        kernel[:, theirs.support_], sign * theirs.dual_coef_, sign * theirs.intercept_, theirs.n_support_
    )
    if classes > 2:
        assert np.allclose(ours, theirs.decision_function(kernel))
    else:
        assert np.allclose(ours[:, 1] - ours[:, 0], theirs.decision_function(kernel))


@pytest.mark.slow
@pytest.mark.slow
def test_many_classes_are_as_sure_as_they_are_right(tmp_path: Path) -> None:
    """Of forty classes four in five answers are right: the mean probability of the answers says so, too."""
    rows, _ = data(tmp_path, count=1_200, classes=40, spread=2)
    fitted = fit_head(rows, "rbf-svm", [columns("signal")])
    right = (fitted.out_of_fold.argmax(axis=1) == rows.targets).mean()
    assert 0.6 < right < 0.95
    assert fitted.out_of_fold.max(axis=1).mean() == pytest.approx(right, abs=0.05)


def test_a_class_with_a_single_image_is_no_crash(tmp_path: Path) -> None:
    rows, _ = data(tmp_path, count=60)
    labels = rows.targets.copy()
    labels[labels == 2] = 0
    labels[0] = 2
    lonely = TrainingRows(rows.features, rows.keys, labels, rows.groups, classification(3))
    for kind in KINDS:
        assert fit_head(lonely, kind, [columns("signal")]).out_of_fold.shape == (60, 3)


def test_softmax_by_hand() -> None:
    assert np.allclose(softmax(np.log([[1.0, 3.0]])), [[0.25, 0.75]])


def test_squared_distances_by_hand() -> None:
    assert squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])).tolist() == [[25.0]]


def test_a_few_images_that_are_all_right_make_no_model_certain() -> None:
    """N images of K classes, all right by a wide margin: the least loss has p = (N + 1 / K) / (N + 1)."""
    scores = np.array([[5.0, -5.0]] * 4 + [[-5.0, 5.0]] * 4)
    labels = np.array([0] * 4 + [1] * 4)
    heat = best_temperature(scores, labels)
    assert softmax(scores / heat)[0, 0] == pytest.approx(8.5 / 9, abs=1e-3)
