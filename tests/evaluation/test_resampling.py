from __future__ import annotations

import numpy as np
import pytest

from regraft.evaluation.resampling import bootstrap_counts, percentile_interval

GROUPS = np.array([0, 0, 0, 1, 2, 2])


def test_images_of_a_group_are_drawn_together() -> None:
    counts = np.concatenate(list(bootstrap_counts(6, draws=50, seed=0, groups=GROUPS)))
    assert (counts[:, 0] == counts[:, 1]).all()
    assert (counts[:, 4] == counts[:, 5]).all()
    assert (counts[:, [0, 3, 4]].sum(axis=1) == 3).all()  # three groups in every draw
    assert len(np.unique(counts.sum(axis=1))) > 1


def test_groups_of_one_image_draw_as_images_do() -> None:
    plain = np.concatenate(list(bootstrap_counts(6, draws=20, seed=3)))
    single = np.concatenate(list(bootstrap_counts(6, draws=20, seed=3, groups=np.arange(6))))
    assert np.array_equal(plain, single)


def test_few_groups_have_wider_intervals_and_one_has_none() -> None:
    draws = np.random.default_rng(0).normal(size=4_000)
    plain, few = percentile_interval(0.0, draws), percentile_interval(0.0, draws, 8)
    assert plain.low is not None
    assert few.low is not None
    assert few.low / plain.low == pytest.approx(2.53 / 1.96, rel=0.1)  # Student's point, times root 8/7
    assert percentile_interval(0.0, draws, 1).low is None
