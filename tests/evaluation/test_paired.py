from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from regraft.evaluation.paired import compare, holm, mcnemar


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
