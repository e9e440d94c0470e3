from __future__ import annotations

from pathlib import Path

import pytest

from regraft.advice.profile import DepthProfile, StageKnowledge, close_to_best, depth_profile
from regraft.evaluation.intervals.shares import wilson
from regraft.heads import kernel_machines
from regraft.records import Estimate
from tests.heads.test_heads import LAYOUT, data


def test_the_stage_that_knows_stands_out(tmp_path: Path) -> None:
    rows, _ = data(tmp_path)
    profile = depth_profile(rows, LAYOUT)
    by_stage = {stage.stage: stage.least_squares.value for stage in profile.stages}
    assert list(by_stage) == ["noise", "signal", "constant"]
    assert by_stage["signal"] > 0.85
    assert by_stage["noise"] < 0.55


def test_intervals_are_wilsons_on_all_images(tmp_path: Path) -> None:
    rows, _ = data(tmp_path)
    profile = depth_profile(rows, LAYOUT)
    found = profile.stages[1].least_squares
    assert profile.images == len(rows.keys)
    assert found == wilson(round(found.value * len(rows.keys)), len(rows.keys))


def test_svms_are_measured_only_near_the_peak(tmp_path: Path) -> None:
    rows, _ = data(tmp_path)
    near = depth_profile(rows, LAYOUT)
    assert [stage.svm is not None for stage in near.stages] == [False, True, False]
    assert near.peak.stage == "signal"


def test_many_classes_are_measured_with_least_squares_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_machines, "MOST_PAIRED_CLASSES", 2)
    rows, _ = data(tmp_path)
    assert all(stage.svm is None for stage in depth_profile(rows, LAYOUT).stages)


def test_at_most_three_stages_are_close_to_the_best() -> None:
    assert close_to_best([0.1, 0.8, 0.8, 0.8, 0.8, 0.8, 0.5]) == [2, 3, 4]
    assert close_to_best([0.5]) == [0]


def profile_of(*accuracies: float) -> DepthProfile:
    stages = [
        StageKnowledge(stage=f"s{number}", least_squares=Estimate(value=value), svm=None)
        for number, value in enumerate(accuracies)
    ]
    return DepthProfile(images=100, folds=5, stages=tuple(stages))


@pytest.mark.parametrize(
    ("accuracies", "peak"),
    [
        ((0.2, 0.5, 0.8, 0.6), "s2"),
        ((0.3, 0.9, 0.3, 0.7, 0.7, 0.7), "s5"),  # a lone high value is noise; of equals the deepest
        ((0.5,), "s0"),
    ],
)
def test_the_peak_is_smoothed(accuracies: tuple[float, ...], peak: str) -> None:
    assert profile_of(*accuracies).peak.stage == peak


def test_a_sample_has_of_each_class_alike(tmp_path: Path) -> None:
    rows, _ = data(tmp_path, count=240, classes=3)
    sample = rows.sample(60)
    counts = [int((sample.targets == label).sum()) for label in range(3)]
    whole = [int((rows.targets == label).sum()) for label in range(3)]
    assert len(sample.keys) == 60
    assert all(abs(part - full / 4) <= 1 for part, full in zip(counts, whole, strict=True))
    assert rows.sample(60).keys == sample.keys
