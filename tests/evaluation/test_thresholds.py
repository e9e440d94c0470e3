from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regraft.evaluation.thresholds import f1_thresholds

NAN = float("nan")


def f1(present: np.ndarray, predicted: np.ndarray) -> float:
    return 2 * (present & predicted).sum() / (present.sum() + predicted.sum())


@given(st.integers(2, 25), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_no_threshold_has_a_larger_f1(count: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    chances, present = draws.random(count).round(1) * 0.9 + 0.05, draws.random(count) < 0.4
    present[:2] = [True, False]
    (found,) = f1_thresholds(chances[:, None], present[:, None].astype(float))
    best = max(f1(present, chances >= limit) for limit in np.linspace(0.01, 1, 100))
    assert f1(present, chances >= found) == pytest.approx(best)


def test_among_equal_thresholds_the_nearest_to_a_half_is_taken() -> None:
    """Between 0.2 and 0.7 every threshold finds both; a half is one of them."""
    assert f1_thresholds(np.array([[0.2], [0.7], [0.9]]), np.array([[0.0], [1.0], [1.0]])) == [0.5]


@pytest.mark.parametrize("target", [[0.0, 0.0], [1.0, 1.0], [NAN, NAN]], ids=["none", "all", "unknown"])
def test_a_label_that_tells_nothing_keeps_a_half(target: list[float]) -> None:
    assert f1_thresholds(np.array([[0.2], [0.9]]), np.array([target]).T) == [0.5]


def test_unknown_images_are_left_out() -> None:
    chances, target = np.array([[0.1], [0.3], [0.99]]), np.array([[0.0], [1.0], [NAN]])
    assert f1_thresholds(chances, target) == pytest.approx(0.2)
