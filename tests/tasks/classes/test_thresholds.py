from __future__ import annotations

import numpy as np
import pytest

from regraft.goal import Goal
from regraft.tasks.classes.rates import rates_at
from regraft.tasks.classes.thresholds import OTHERS, goal_threshold

GOALS = ("sensitivity=0.95", "recall=0.6", "specificity=0.9", "ppv=0.7", "precision=0.5", "npv=0.97")


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    present = draws.random(80) < 0.25
    return np.round(np.clip(draws.normal(0.3 + 0.3 * present, 0.2), 0, 1), 2), present


def rate(chances: np.ndarray, present: np.ndarray, threshold: float, name: str) -> float:
    found = getattr(rates_at(present, chances >= threshold, threshold=threshold), name)
    return -1.0 if found is None else float(found.value)


@pytest.mark.parametrize("text", GOALS)
@pytest.mark.parametrize("seed", range(4))
def test_no_threshold_that_reaches_the_goal_is_more_useful(text: str, seed: int) -> None:
    """All thresholds tried one by one."""
    (chances, present), goal = drawn(seed), Goal.parse(text)
    found = goal_threshold(chances, present, goal)
    tried = [*np.arange(0, 1.01, 0.005).tolist(), 1.1]
    reaching = [one for one in tried if rate(chances, present, one, goal.rate) >= goal.value - 1e-9]
    assert rate(chances, present, found, goal.rate) >= goal.value - 1e-9
    best = max(rate(chances, present, one, OTHERS[goal.rate]) for one in reaching)
    assert rate(chances, present, found, OTHERS[goal.rate]) == pytest.approx(best, abs=1e-12)


def test_a_goal_out_of_reach_gives_the_largest_rate() -> None:
    chances, present = np.array([0.9, 0.8, 0.7, 0.1]), np.array([False, True, True, False])
    found = goal_threshold(chances, present, Goal("ppv", 0.9))
    assert rate(chances, present, found, "ppv") == pytest.approx(2 / 3)


def test_equal_probabilities_stay_together() -> None:
    chances, present = np.full(4, 0.5), np.array([True, False, False, False])
    assert goal_threshold(chances, present, Goal("sensitivity", 0.5)) <= 0.5
    assert goal_threshold(chances, present, Goal("specificity", 0.5)) > 0.5


@pytest.mark.parametrize("present", [np.ones(3, bool), np.zeros(3, bool)])
def test_one_class_alone_chooses_nothing(present: np.ndarray) -> None:
    assert goal_threshold(np.array([0.1, 0.2, 1.0]), present, Goal("npv", 0.9)) == 0.5


def test_a_certain_image_can_still_be_called_negative() -> None:
    chances, present = np.array([1.0, 1.0]), np.array([True, False])
    assert goal_threshold(chances, present, Goal("specificity", 1.0)) > 1
