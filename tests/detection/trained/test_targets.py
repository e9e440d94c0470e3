from __future__ import annotations

import numpy as np

from regraft.detection.training.targets import ViewTargets, padded


def test_targets_follow_the_view_and_have_no_needless_rows() -> None:
    view = [0]
    one = padded([[[0, 1, 2, 3, 4]], [[1, 5, 6, 7, 8], [-2, 0, 0, 9, 9]], np.zeros((0, 5))])
    other = one + np.float32(0)
    other[0, 0, 1] = 77
    targets = ViewTargets([one, other], lambda: view[0])
    assert len(targets) == 3
    assert targets[np.array([0, 2])].tolist() == [[[0, 1, 2, 3, 4]], [[-1, 0, 0, 0, 0]]]
    assert targets[np.array([2])].shape == (1, 0, 5)
    assert targets[np.array([1])].shape == (1, 2, 5)
    view[0] = 1
    assert targets[np.array([0])][0, 0, 1] == 77


def test_ignored_regions_are_no_objects() -> None:
    rows = padded([[[0, 1, 2, 3, 4]], [[1, 5, 6, 7, 8], [-2, 0, 0, 9, 9]], np.zeros((0, 5))])
    assert ViewTargets([rows]).objects == 2 / 3
