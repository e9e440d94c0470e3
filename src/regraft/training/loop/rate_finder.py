"""A learning-rate finder: the training loss while the learning rate rises from too small to too large."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from regraft.progress import Reporter
from regraft.training.loop.batches import fetched
from regraft.training.loop.checkpoint import Position
from regraft.training.loop.steps import Stepper, Training

_LOW, _HIGH = 1e-7, 1.0
_SMOOTH = 0.9
_TOO_MUCH = 4.0


@dataclass(frozen=True)
class RateSearch:
    """The learning rates that were tried, and the smoothed training loss at each."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float
    """The learning rate at which the loss falls fastest."""


def search_rate(training: Training, reporter: Reporter, *, steps: int = 80) -> RateSearch:
    """Train for some steps with an exponentially rising learning rate, then restore the weights.

    The loss is smoothed exponentially with bias correction; the search ends when it is four times its best
    value or not finite. Source: Smith 2017, "Cyclical learning rates", section 3.3; smoothing and end as in
    fastai.
    """
    start = training.tail.snapshot()
    rates: list[float] = []
    losses: list[float] = []
    mean, best = 0.0, math.inf
    with reporter.phase("trying learning rates", steps, "steps") as meter:
        for number, loss in enumerate(_raw_losses(training, steps, reporter, rates)):
            mean = _SMOOTH * mean + (1 - _SMOOTH) * loss
            smooth = mean / (1 - _SMOOTH ** (number + 1))
            losses.append(smooth)
            best = min(best, smooth)
            meter.advance()
            if not math.isfinite(smooth) or (number > 10 and smooth > _TOO_MUCH * best):
                break
    training.tail.restore(start)
    training.tail.eval()
    return RateSearch(tuple(rates[: len(losses)]), tuple(losses), steepest(rates[: len(losses)], losses))


def _raw_losses(training: Training, steps: int, reporter: Reporter, rates: list[float]) -> Iterator[float]:
    size = training.settings.effective_batch
    draws = np.random.default_rng(training.seed)
    orders = [
        draws.permutation(len(training.targets)) for _ in range(-(-steps * size // len(training.targets)))
    ]
    order = np.concatenate(orders).astype(np.int64)
    batches = [order[number * size : (number + 1) * size] for number in range(steps)]
    training.train.begin(0, reporter)
    position = Position(micro_batch=training.settings.micro_batch or size)
    constant = replace(training.settings, schedule="constant")
    stepper = Stepper(replace(training, settings=constant), position, {}, reporter)
    stepper.open_phase(0, {})
    for number, (places, raw) in enumerate(zip(batches, fetched(training.train, batches), strict=True)):
        rate = _LOW * (_HIGH / _LOW) ** (number / max(1, steps - 1))
        stepper.settings = replace(constant, lr=rate)
        before = position.sums.loss
        stepper.step(places, raw, steps)
        rates.append(rate)
        yield (position.sums.loss - before) / len(places) if not position.stopped else math.nan
        if position.stopped:
            break


def steepest(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate at which the loss falls fastest per factor of the rate, before its minimum.

    >>> steepest([1e-4, 1e-3, 1e-2, 1e-1], [2.0, 1.9, 1.0, 0.5])
    0.01
    """
    end = int(np.nanargmin(losses)) + 1
    if end < 3:
        return rates[max(0, end - 1)] / 10
    slopes = np.gradient(np.array(losses[:end]), np.log(np.array(rates[:end])))
    return float(rates[int(np.argmin(slopes))])
