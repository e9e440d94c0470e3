from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regraft.advice.learning_curve import doubling_gain, learning_curve
from regraft.heads.fitting import fit_head
from regraft.records import HeadKind
from tests.heads.test_heads import columns, data

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["ridge", "logistic", "rbf-svm"])
def test_more_images_help_and_the_last_point_is_the_heads_own(tmp_path: Path, kind: HeadKind) -> None:
    rows, _ = data(tmp_path, count=400)
    fitted = fit_head(rows, kind, [columns("noise", "signal")])
    curve = learning_curve(rows, fitted.head)
    accuracies = [point.accuracy.value for point in curve.points]
    own = (fitted.out_of_fold.argmax(axis=1) == rows.targets).mean()
    assert [point.images for point in curve.points] == [40, 80, 160, 320]
    assert accuracies[-1] > accuracies[0]
    assert accuracies[-1] == pytest.approx(own, abs=0.02)


def test_a_power_law_is_continued() -> None:
    sizes, images = [100, 200, 400, 800], 20_000
    errors = [0.05 + 0.4 * (size / 100) ** -0.5 for size in sizes]
    rights = np.stack([np.arange(images) >= round(error * images) for error in errors])
    expected = errors[-1] - (0.05 + 0.4 * 16**-0.5)
    gain = doubling_gain(sizes, rights)
    assert gain.value == pytest.approx(expected, abs=0.006)
    assert gain.low is not None
    assert gain.high is not None
    assert gain.low <= expected <= gain.high


def test_a_flat_curve_promises_nothing() -> None:
    rights = np.tile(np.arange(1000) >= 200, (4, 1))
    assert doubling_gain([10, 20, 40, 80], rights).value == pytest.approx(0, abs=0.002)


def test_the_curve_is_of_the_measure_that_models_are_compared_by(tmp_path: Path) -> None:
    """A rare class that is never found costs a third of the balanced accuracy, and little of the accuracy."""
    rows, _ = data(tmp_path, count=400)
    kept = np.flatnonzero((rows.targets != 0) | (np.arange(400) % 8 == 0))
    rare = rows.subset(kept)
    task = rare.task.model_copy(update={"measure": "balanced"})
    balanced = replace(rare, task=task)
    head = fit_head(balanced, "ridge", [columns("signal")]).head
    curves = [learning_curve(one, head) for one in (rare, balanced)]
    assert [curve.measure for curve in curves] == ["accuracy", "balanced_accuracy"]
    assert curves[1].title == "balanced accuracy"
    fitted = fit_head(balanced, "ridge", [columns("signal")]).out_of_fold.argmax(axis=1)
    recalls = [(fitted[balanced.targets == label] == label).mean() for label in range(3)]
    assert curves[1].points[-1].accuracy.value == pytest.approx(np.mean(recalls), abs=0.02)


def test_under_log_loss_the_curve_is_of_the_accuracy(tmp_path: Path) -> None:
    rows, _ = data(tmp_path, count=240)
    head = fit_head(rows, "ridge", [columns("signal")]).head
    usual = learning_curve(rows, head)
    task = rows.task.model_copy(update={"measure": "log-loss"})
    assert learning_curve(replace(rows, task=task), head) == usual
