from __future__ import annotations

import numpy as np
import pytest

from regraft.evaluation.intervals.groups import Ints
from regraft.evaluation.intervals.shares import share_estimate, wilson


def patients(
    draws: np.random.Generator, *, groups: int, most: int, share: float, correlation: float
) -> tuple[np.ndarray, Ints]:
    """Which images are right, and their groups, whose images have the same beta-distributed chance."""
    sizes = draws.integers(1, most + 1, groups)
    total = 1 / correlation - 1 if correlation else 0
    chance = draws.beta(share * total, (1 - share) * total, groups) if correlation else np.full(groups, share)
    numbers = np.repeat(np.arange(groups), sizes)
    return draws.random(len(numbers)) < chance[numbers], numbers


@pytest.mark.parametrize(
    ("groups", "most", "share", "correlation"),
    [
        (8, 20, 0.6, 0.1), (8, 20, 0.95, 0.5), (14, 20, 0.9, 0.3), (30, 20, 0.8, 0.5),
        (30, 5, 0.95, 0.3), (100, 20, 0.6, 0.0), (100, 20, 0.95, 0.1),
    ],
)  # fmt: skip
def test_the_interval_covers_the_true_share_as_often_as_it_says(
    groups: int, most: int, share: float, correlation: float
) -> None:
    draws = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        found = share_estimate(
            *patients(draws, groups=groups, most=most, share=share, correlation=correlation)
        )
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= share <= found.high
    assert 180 <= covered <= 200  # 190 are expected; 180 is the limit of chance


def test_wilson_by_image_fails_where_patients_have_several_images() -> None:
    draws = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        rights, _ = patients(draws, groups=30, most=20, share=0.8, correlation=0.5)
        found = wilson(int(rights.sum()), len(rights))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.8 <= found.high
    assert covered < 140


def test_where_every_image_is_a_group_it_is_wilsons() -> None:
    rights = np.random.default_rng(1).random(50) < 0.8
    assert share_estimate(rights) == wilson(int(rights.sum()), 50)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_six_perfect_patients_leave_a_doubt(value: float) -> None:
    found = share_estimate(np.full(60, value), np.repeat(np.arange(6), 10))
    six, sixty = wilson(6 * value, 6), wilson(60 * value, 60)
    width, widest, narrowest = ((one.high or 0) - (one.low or 0) for one in (found, six, sixty))
    assert narrowest < width < widest
    assert found.value == value


def test_groups_that_are_right_or_wrong_as_a_whole_count_as_one_image_each() -> None:
    rights = np.array([True] * 80 + [False] * 20)
    found = share_estimate(np.repeat(rights, 10), np.repeat(np.arange(100), 10))
    expected = wilson(80, 100)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_images_that_are_as_different_within_groups_as_across_count_one_by_one() -> None:
    rights = np.tile(np.array([True] * 8 + [False] * 2), 100)
    found = share_estimate(rights, np.repeat(np.arange(100), 10))
    expected = wilson(800, 1000)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.005)


def test_the_order_and_the_numbers_of_groups_do_not_matter() -> None:
    draws = np.random.default_rng(2)
    rights, groups = patients(draws, groups=12, most=9, share=0.7, correlation=0.3)
    order = draws.permutation(len(rights))
    renamed = draws.permutation(12)[groups]
    assert share_estimate(rights[order], renamed[order]) == share_estimate(rights, groups)


def test_very_large_groups_are_quick_and_keep_their_share() -> None:
    rights = np.arange(100_000) % 10 > 0
    found = share_estimate(rights, np.arange(100_000) // 20_000)
    assert found.value == 0.9
    assert found.low is not None
    assert 0.5 < found.low < 0.9


def test_the_interval_contains_the_value_even_if_large_groups_differ_from_small_ones() -> None:
    rights = np.array([True] * 1000 + [False] * 10)
    found = share_estimate(rights, np.array([0] * 1000 + list(range(1, 11))))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert found.high - found.low > 0.3  # nearly all of it is one group
