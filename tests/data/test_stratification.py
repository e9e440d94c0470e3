from __future__ import annotations

import numpy as np

from regraft.data.stratification import balanced_parts, scattered


def labelled(count: int = 300, seed: int = 0) -> np.ndarray:
    draws = np.random.default_rng(seed)
    strata = draws.random((count, 5)) < [0.6, 0.3, 0.1, 0.03, 0.02]
    strata[:, 4] |= strata[:, 3] & (draws.random(count) < 0.5)
    return np.concatenate([strata, ~strata.any(axis=1, keepdims=True)], axis=1)


def test_every_fold_has_its_share_of_every_label() -> None:
    strata = labelled()
    folds = balanced_parts(strata, [str(row) for row in range(300)], [0.2] * 5, seed=0)
    counts = np.stack([strata[folds == fold].sum(axis=0) for fold in range(5)])
    assert (np.abs(counts - strata.sum(axis=0) / 5) <= 2).all()
    assert np.ptp(np.bincount(folds)) <= 5


def test_rare_labels_are_more_even_than_in_random_folds() -> None:
    spread = []
    for seed in range(10):
        strata = labelled(seed=seed)
        drawn = np.random.default_rng(seed).permutation(np.arange(300) % 5)
        found = balanced_parts(strata, [str(row) for row in range(300)], [0.2] * 5, seed=seed)
        counts = [[strata[folds == fold, 3].sum() for fold in range(5)] for folds in (found, drawn)]
        spread.append([np.ptp(one) for one in counts])
    ours, random = np.mean(spread, axis=0)
    assert ours < random / 2


def test_a_small_part_gets_its_share_too() -> None:
    strata = labelled()
    parts = balanced_parts(strata, [str(row) for row in range(300)], [0.8, 0.2], seed=0)
    assert np.abs(strata[parts == 1].sum(axis=0) - 0.2 * strata.sum(axis=0)).max() <= 1
    assert abs((parts == 1).sum() - 60) <= 2


def test_groups_stay_together() -> None:
    strata, draws = labelled(), np.random.default_rng(0)
    groups = draws.integers(0, 60, 300)
    folds = balanced_parts(strata, [f"g{group}" for group in groups], [0.2] * 5, seed=0)
    assert all(len(set(folds[groups == group])) == 1 for group in range(60))
    assert np.ptp(np.bincount(folds)) <= 15


def test_the_order_of_images_makes_no_difference() -> None:
    strata, names = labelled(), [str(row) for row in range(300)]
    order = np.random.default_rng(0).permutation(300)
    found = balanced_parts(strata, names, [0.2] * 5, seed=4)
    moved = balanced_parts(strata[order], [names[row] for row in order], [0.2] * 5, seed=4)
    assert np.array_equal(found[order], moved)
    assert not np.array_equal(found, balanced_parts(strata, names, [0.2] * 5, seed=5))


def test_a_label_in_one_fold_alone_is_not_scattered() -> None:
    strata = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [1, 0, 0]])
    assert scattered(strata, np.array([0, 1, 2, 0])).tolist() == [True, False, True]
