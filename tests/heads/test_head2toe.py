from __future__ import annotations

from pathlib import Path

import numpy as np

from regraft.heads.fitting import fit_head
from regraft.heads.head2toe import group_lasso
from tests.heads.test_heads import LAYOUT, data


def problem(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, count)
    rows = generator.normal(size=(count, 20))
    rows[:, :2] += 2 * generator.normal(size=(3, 2))[labels]
    return rows, labels


def test_the_features_that_tell_classes_apart_are_the_most_relevant() -> None:
    relevance, _ = group_lasso(*problem(), 3)
    assert set(np.argsort(-relevance)[:2]) == {0, 1}
    assert (relevance[2:] == 0).sum() > 5  # it is a lasso: noise gets nothing at all


def test_at_the_full_penalty_nothing_is_left() -> None:
    relevance, gradient = group_lasso(*problem(), 3, share=1.0)
    assert np.allclose(relevance, 0, atol=1e-6)
    assert gradient.max() > 0


def test_unread_features_do_not_matter(tmp_path: Path) -> None:
    rows, features = data(tmp_path)
    head = fit_head(rows, "head2toe", [LAYOUT]).head
    matrix = features.matrix(rows.keys, head.record.columns)
    changed = matrix.copy()
    changed[:, head.arrays["scale"] == 0] += 100
    assert (head.arrays["scale"] == 0).any()
    assert np.array_equal(head.probabilities(matrix), head.probabilities(changed))
