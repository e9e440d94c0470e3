from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from regraft.evaluation.intervals.groups import group_numbers, number_of_groups, student, tail_share


def test_images_of_equal_names_have_equal_numbers() -> None:
    numbers = group_numbers(["b", "a", "b", "c"])
    assert numbers is not None
    assert numbers.tolist() == [1, 0, 1, 2]
    assert number_of_groups(numbers) == 3


@pytest.mark.parametrize("names", [None, ["a", "b", "c"]], ids=["no groups", "groups of one image"])
def test_groups_of_one_image_are_no_groups(names: list[str] | None) -> None:
    assert group_numbers(names) is None
    assert number_of_groups(None) is None


@pytest.mark.parametrize("freedom", [1, 2, 5, 7, 30, 1_000])
def test_students_point_is_that_of_the_distribution(freedom: int) -> None:
    assert student(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=2e-3)


@pytest.mark.parametrize("groups", [8, 14, 30, 1_000])
def test_fewer_groups_take_points_further_out(groups: int) -> None:
    expected = norm.cdf(-((groups / (groups - 1)) ** 0.5) * t.ppf(0.975, groups - 1))
    assert tail_share(groups) == pytest.approx(expected, rel=0.02)
    assert tail_share(groups) < tail_share(None) == 0.025


def test_numbers_are_the_same_for_any_order_of_groups() -> None:
    names = np.random.default_rng(0).permutation(["a", "b", "b", "c"]).tolist()
    numbers = group_numbers(names)
    assert numbers is not None
    assert [numbers[names.index(one)] for one in ("a", "b", "c")] == [0, 1, 2]
