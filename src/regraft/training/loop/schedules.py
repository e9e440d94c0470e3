"""Learning-rate schedules as pure functions from the optimizer step to a factor of the largest learning rate.

Steps are optimizer steps, regardless of micro-batches. Only `plateau` depends on measurements; its state is
a record in the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from regraft.settings import ScheduleName

FLOOR = 0.01
"""The factor at which warm-ups start and cosines end."""


def constant(step: int, total: int, warmup: float = 0.0) -> float:
    """The factor 1 at every step."""
    del step, total, warmup
    return 1.0


def step_decay(step: int, total: int, warmup: float = 0.0) -> float:
    """Division by ten after each third of the steps (He et al. 2016, section 3.4, divide at plateaus).

    >>> [step_decay(step, 9) for step in (0, 3, 6)]
    [1.0, 0.1, 0.01]
    """
    del warmup
    return float((1.0, 0.1, 0.01)[min(2, 3 * step // max(1, total))])


def cosine(step: int, total: int, warmup: float = 0.0) -> float:
    """Half a cosine from 1 to `FLOOR` (Loshchilov & Hutter 2017, equation 5, without restarts)."""
    del warmup
    done = min(1.0, step / max(1, total - 1))
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))


def warmup_cosine(step: int, total: int, warmup: float = 0.1) -> float:
    """A linear rise from `FLOOR` to 1 (Goyal et al. 2017, section 2.2), then a cosine."""
    rising = round(total * warmup)
    if step < rising:
        return FLOOR + (1 - FLOOR) * step / rising
    return cosine(step - rising, total - rising)


def one_cycle(step: int, total: int, warmup: float = 0.3) -> float:
    """Half a cosine up from 1/25, then half a cosine down to 1/10,000 of that (Smith 2018; fastai's form).

    >>> one_cycle(0, 100, 0.3)
    0.04
    """
    rising = max(1.0, total * (warmup or 0.3) - 1)
    low, end = 1 / 25, 1e-4 / 25
    if step <= rising:
        return low + (1 - low) * 0.5 * (1 - math.cos(math.pi * step / rising))
    done = min(1.0, (step - rising) / max(1.0, total - 1 - rising))
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * done))


def warm_restarts(step: int, total: int, warmup: float = 0.0) -> float:
    """Three cosines, each twice as long as the one before (Loshchilov & Hutter 2017, SGDR, T_mult 2).

    >>> [round(warm_restarts(step, 70), 2) for step in (0, 10, 30)]
    [1.0, 1.0, 1.0]
    """
    del warmup
    start = 0
    for part in (1, 2):
        length = max(1, round(total * part / 7))
        if step < start + length:
            return cosine(step - start, length)
        start += length
    return cosine(step - start, max(1, total - start))


SCHEDULES: dict[ScheduleName, Callable[[int, int, float], float]] = {
    "constant": constant,
    "step": step_decay,
    "cosine": cosine,
    "warmup-cosine": warmup_cosine,
    "one-cycle": one_cycle,
    "warm-restarts": warm_restarts,
    "plateau": constant,
}
"""Each maps `(step, total steps, warm-up share)` to a factor; `plateau` is multiplied by `Plateau.factor`."""


@dataclass(frozen=True)
class Plateau:
    """The state of ReduceLROnPlateau: the factor falls when the measure has not improved for a while."""

    factor: float = 1.0
    best: float = math.inf
    waited: int = 0

    def after(
        self, loss: float, *, patience: int = 2, divide: float = 0.3, threshold: float = 1e-4
    ) -> Plateau:
        """The state after an epoch with the given validation loss.

        Args:
            loss: validation loss of the epoch.
            patience: number of epochs without improvement before the factor falls.
            divide: number that the factor is multiplied by.
            threshold: smallest relative improvement that counts.

        >>> state = Plateau().after(1.0).after(1.0).after(1.0).after(1.0)
        >>> state.factor
        0.3
        """
        if loss < self.best * (1 - threshold):
            return replace(self, best=loss, waited=0)
        if self.waited >= patience:
            return replace(self, factor=self.factor * divide, waited=0)
        return replace(self, waited=self.waited + 1)


def rates(schedule: ScheduleName, epochs: int, steps_per_epoch: int, warmup: float) -> list[float]:
    """The factor at every step of a training; for `plateau`, one that stops improving after a third."""
    total, state, result = epochs * steps_per_epoch, Plateau(), []
    for epoch in range(epochs):
        factors = [
            SCHEDULES[schedule](epoch * steps_per_epoch + step, total, warmup)
            for step in range(steps_per_epoch)
        ]
        result += [factor * (state.factor if schedule == "plateau" else 1.0) for factor in factors]
        state = state.after(1 / (1 + min(epoch, epochs // 3)))
    return result
