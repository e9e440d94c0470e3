from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from regraft.evaluation.paired import compare, compare_goodness, holm, mcnemar, sign_flip


@pytest.mark.parametrize(("won", "lost"), [(5, 1), (1, 5), (12, 3), (40, 61), (900, 780)])
def test_mcnemar_agrees_with_the_binomial_distribution(won: int, lost: int) -> None:
    total, small = won + lost, min(won, lost)
    exact = 2 * binom.cdf(small, total, 0.5) - binom.pmf(small, total, 0.5)  # mid-p
    assert mcnemar(won, lost) == pytest.approx(exact, rel=0.02)


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        both = generator.random((2, 150)) < np.array([[0.8], [0.7]])
        result = compare(both[0], both[1]).difference
        assert result.low is not None
        assert result.high is not None
        covered += result.low <= 0.1 <= result.high
    assert 180 <= covered <= 199


def test_equal_models_cannot_be_told_apart() -> None:
    rights = np.array([True, False] * 50)
    result = compare(rights, rights)
    assert result.p_value == 1.0
    assert not result.differs
    assert result.difference.value == result.difference.low == result.difference.high == 0


def test_holm_keeps_order_and_never_exceeds_one() -> None:
    assert holm([0.5, 0.9, 0.8]) == [1.0, 1.0, 1.0]
    assert holm([]) == []


def test_right_and_wrong_are_compared_as_before() -> None:
    rights = np.random.default_rng(0).random((2, 80)) < 0.7
    assert compare_goodness(rights[0].astype(float), rights[1].astype(float), seed=3) == compare(
        *rights, seed=3
    )


def test_flips_agree_with_all_flips() -> None:
    differences = np.array([0.5, 0.3, -0.2, 0.9, 0.1, 0.4, 0.0])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 7)).reshape(7, -1).T
    exact = (np.abs(signs @ differences) >= differences.sum() - 1e-9).mean()
    assert sign_flip(differences) == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("count", [30, 1500], ids=["flips", "normal"])
def test_equal_models_differ_significantly_in_one_of_twenty_comparisons(count: int) -> None:
    draws = np.random.default_rng(0)
    values = [sign_flip(draws.laplace(size=count)) for _ in range(400)]
    assert 0.02 <= np.mean(np.array(values) < 0.05) <= 0.08


def test_the_interval_of_mean_goodness_covers_the_true_difference_as_often_as_it_says() -> None:
    draws, covered = np.random.default_rng(0), 0
    for _ in range(100):
        first = draws.beta(4, 2, 80)
        result = compare_goodness(first, first - 0.1 + 0.2 * draws.normal(size=80)).difference
        assert result.low is not None
        assert result.high is not None
        covered += result.low <= 0.1 <= result.high
    assert 88 <= covered <= 99


def patients(draws: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two models that are equally good, but each on other patients, of whom there are twelve images each."""
    rates = draws.beta(1.6, 0.4, (2, 20))
    groups = np.repeat(np.arange(20), 12)
    first, second = (draws.random((2, len(groups))) < rates[:, groups]).astype(float)
    return first, second, groups


def test_equal_models_rarely_differ_where_patients_have_many_images() -> None:
    draws = np.random.default_rng(1)
    apart, inside, by_image = 0, 0, 0
    for number in range(60):
        first, second, groups = patients(draws)
        found = compare_goodness(first, second, groups=groups, seed=number)
        assert found.groups == 20
        assert found.difference.low is not None
        assert found.difference.high is not None
        apart += found.differs
        inside += found.difference.low <= 0 <= found.difference.high
        by_image += compare_goodness(first, second, seed=number).differs
    assert apart <= 8  # 3 are expected
    assert inside >= 52
    assert by_image > 20


def test_groups_of_one_image_are_compared_as_images() -> None:
    values = np.random.default_rng(2).random((2, 30))
    plain = compare_goodness(values[0], values[1], seed=5)
    alone = compare_goodness(values[0], values[1], groups=np.arange(30), seed=5)
    assert alone.p_value == plain.p_value
    assert alone.difference.value == plain.difference.value
    assert "groups" not in plain.model_dump()
