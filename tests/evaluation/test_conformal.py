from __future__ import annotations

from math import ceil

import numpy as np
import pytest

from regraft.evaluation.conformal import half_width


@pytest.mark.parametrize("count", [9, 10, 19, 99, 100, 1000])
def test_the_half_width_has_the_rank_of_the_theorem(count: int) -> None:
    errors = np.arange(1.0, count + 1)
    found = half_width(np.random.default_rng(0).permutation(errors) * np.where(errors % 2, 1, -1))
    assert found == ceil(round(0.9 * (count + 1), 9))


def test_eight_images_are_too_few_for_ninety_percent() -> None:
    assert half_width(np.ones(8)) is None


def test_a_group_counts_as_one_image() -> None:
    """Eight groups of ten are eight; a ninth makes an interval possible, which must contain all groups."""
    errors = np.concatenate([np.full(80, 1.0), [5.0]])
    groups = [f"g{place // 10}" for place in range(81)]
    assert half_width(errors[:80], groups[:80]) is None
    assert half_width(errors, groups) == 5.0


def test_new_images_are_covered_as_often_as_it_says() -> None:
    draws, covered = np.random.default_rng(0), []
    for _ in range(2_000):
        errors = draws.standard_t(2, 40)  # heavy tails: nothing is assumed of the distribution
        width = half_width(errors[:-1])
        assert width is not None
        covered.append(abs(errors[-1]) <= width)
    assert 0.88 <= np.mean(covered) <= 0.92


def test_new_groups_are_covered_as_often_as_it_says() -> None:
    draws, covered = np.random.default_rng(0), []
    for _ in range(1_000):
        sizes = draws.integers(1, 6, 40)
        errors = np.repeat(draws.normal(size=40), sizes) + 0.3 * draws.normal(size=sizes.sum())
        groups = np.repeat(np.arange(40), sizes)
        width = half_width(errors[groups < 39], [str(group) for group in groups[groups < 39]])
        assert width is not None
        covered.append(abs(errors[-1]) <= width)
    assert 0.88 <= np.mean(covered) <= 0.92
