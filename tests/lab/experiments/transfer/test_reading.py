"""What hierarchy and by-hand do with features, on rows whose classes are known."""

from __future__ import annotations

import numpy as np

from regraft.lab.bench.reading import read_off
from regraft.lab.experiments.transfer.by_hand import _sides

LABELS = np.arange(60) % 3
ROWS = np.eye(3)[LABELS] + np.random.default_rng(0).normal(0, 0.05, (60, 3))
NOISE = np.random.default_rng(1).normal(size=(60, 3))
TRAIN, TEST = np.arange(30), np.arange(30, 60)


def test_classes_that_are_in_the_features_are_read_off() -> None:
    assert read_off(ROWS, LABELS, TRAIN, TEST) == 1.0


def test_classes_that_are_not_are_not() -> None:
    assert read_off(NOISE, LABELS, TRAIN, TEST) < 0.7


def test_sides_share_no_image_and_have_all() -> None:
    train, test = _sides(LABELS, 4, seed=2)
    assert np.bincount(LABELS[train]).tolist() == [4, 4, 4]
    assert sorted([*train, *test]) == list(range(60))
