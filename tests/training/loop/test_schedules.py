from __future__ import annotations

import itertools
from typing import get_args

import pytest
import torch

from regraft.settings import ScheduleName
from regraft.training.loop.schedules import (
    FLOOR,
    SCHEDULES,
    Plateau,
    cosine,
    one_cycle,
    rates,
    step_decay,
    warmup_cosine,
)

NAMES = get_args(ScheduleName)


def optimizer() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def by_torch(scheduler: torch.optim.lr_scheduler.LRScheduler, steps: int) -> list[float]:
    values = []
    for _ in range(steps):
        values.append(scheduler.get_last_lr()[0])
        scheduler.optimizer.step()
        scheduler.step()
    return values


def test_the_cosine_is_torchs() -> None:
    theirs = by_torch(torch.optim.lr_scheduler.CosineAnnealingLR(optimizer(), 39, eta_min=FLOOR), 40)
    assert [cosine(step, 40) for step in range(40)] == pytest.approx(theirs)


def test_one_cycle_is_torchs() -> None:
    them = torch.optim.lr_scheduler.OneCycleLR(optimizer(), 1.0, total_steps=51, cycle_momentum=False)
    theirs = by_torch(them, 51)
    assert [one_cycle(step, 51, 0.3) for step in range(51)] == pytest.approx(theirs, rel=1e-6)


def test_plateau_is_torchs() -> None:
    losses = [1.0, 0.9, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.79999]
    them = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer(), factor=0.3, patience=2)
    state = Plateau()
    for loss in losses:
        them.step(loss)
        state = state.after(loss)
        assert state.factor == pytest.approx(them.get_last_lr()[0])


def test_warm_up_by_hand() -> None:
    values = [warmup_cosine(step, 20, 0.2) for step in range(20)]
    rising = [FLOOR + (1 - FLOOR) * part / 4 for part in range(4)]
    assert values[:5] == pytest.approx([*rising, 1.0])
    assert values[-1] == pytest.approx(FLOOR)


def test_steps_by_hand() -> None:
    assert [step_decay(step, 6) for step in range(6)] == [1, 1, 0.1, 0.1, 0.01, 0.01]


def test_warm_restarts_start_anew_twice() -> None:
    values = rates("warm-restarts", 7, 10, 0.0)
    ups = [number for number, (a, b) in enumerate(itertools.pairwise(values), start=1) if b > a]
    assert ups == [10, 30]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("total", [1, 2, 7, 100])
def test_every_factor_is_above_zero_and_at_most_one(name: ScheduleName, total: int) -> None:
    factors = [SCHEDULES[name](step, total, 0.1) for step in range(total + 2)]
    assert all(0 < factor <= 1 for factor in factors)


@pytest.mark.parametrize("name", NAMES)
def test_a_drawn_schedule_has_every_step(name: ScheduleName) -> None:
    assert len(rates(name, 6, 5, 0.1)) == 30
