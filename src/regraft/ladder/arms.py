"""The trainings that a ladder tries: cuts and learning rates, chosen by successive halving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

FINAL_EPOCHS = 8
LEAST_EPOCHS = 4
_TRIAL_EPOCHS = (2, 4)


@dataclass(frozen=True)
class Arm:
    """One training to try: a cut and a learning rate."""

    count: int
    """Number of stages that stay frozen."""
    lr: float

    def named(self, stages: Sequence[str]) -> str:
        """The arm in words: `train layer3…layer4 at 0.001`, or `train everything at 0.001`."""
        last = stages[self.count :]
        what = "everything" if self.count == 0 else last[0] if len(last) == 1 else f"{last[0]}…{last[-1]}"
        return f"train {what} at {self.lr:g}"


def possible_arms(stages: int, lr: float) -> list[Arm]:
    """All arms, the most promising first: half of the network, all, a quarter; then other learning rates.

    Args:
        stages: number of stages of the network.
        lr: the learning rate to try first.
    """
    half, quarter = max(1, stages // 2), min(stages - 1, round(0.75 * stages))
    cuts = list(dict.fromkeys(count for count in (half, 0, quarter) if 0 <= count < stages))
    usual = [Arm(count, lr) for count in cuts]
    return [*usual, *(Arm(count, lr * factor) for factor in (3.0, 0.3) for count in cuts[:2])]


@dataclass(frozen=True)
class Tournament:
    """Arms that fit into the time, and the epochs of each round; the last round is the final training."""

    arms: tuple[Arm, ...]
    rounds: tuple[int, ...]
    seconds: float


def choose_tournament(
    arms: Sequence[Arm], cost: Callable[[Arm, int, bool], float], time_left_s: float
) -> Tournament | None:
    """The largest tournament that fits into the time; None if not even the cheapest arm fits.

    Args:
        arms: the arms in order of preference.
        cost: returns the seconds of an arm, given its number of epochs and whether it is only a trial.
        time_left_s: seconds that the tournament may take.
    """
    for size in (*(n for n in (6, 4, 2) if n <= len(arms)), 1):
        fitting = [arm for arm in arms if cost(arm, FINAL_EPOCHS, False) <= time_left_s][:size]
        if len(fitting) < size:
            continue
        seconds = tournament_seconds(fitting, cost)
        if seconds <= time_left_s:
            rounds = _TRIAL_EPOCHS[: len(_halves(size)) - 1]
            return Tournament(tuple(fitting), (*rounds, FINAL_EPOCHS), seconds)
    for epochs in range(FINAL_EPOCHS - 1, LEAST_EPOCHS - 1, -1):
        for arm in sorted(arms, key=lambda arm: cost(arm, epochs, False)):
            if cost(arm, epochs, False) <= time_left_s:
                return Tournament((arm,), (epochs,), cost(arm, epochs, False))
    return None


def tournament_seconds(arms: Sequence[Arm], cost: Callable[[Arm, int, bool], float]) -> float:
    """Predicted seconds; for later rounds, those of the most expensive arms, as the survivors are unknown."""
    halves = _halves(len(arms))
    total = 0.0
    for epochs, size in zip((*_TRIAL_EPOCHS[: len(halves) - 1], FINAL_EPOCHS), halves, strict=True):
        is_trial = size > 1 or epochs != FINAL_EPOCHS
        dearest = sorted((cost(arm, epochs, is_trial) for arm in arms), reverse=True)
        total += sum(dearest[:size])
    return total


def _halves(size: int) -> list[int]:
    """Number of arms in each round: 6 3 1, 4 2 1, 2 1, 1.

    >>> _halves(6), _halves(1)
    ([6, 3, 1], [1])
    """
    sizes = [size]
    while sizes[-1] > 1:
        sizes.append(max(1, sizes[-1] // 2))
    return sizes


def survivors(scores: Sequence[tuple[Arm, float, float]], size: int) -> list[Arm]:
    """The best arms of a round by validation accuracy, then by loss.

    Args:
        scores: `(arm, accuracy, loss)` of each arm.
        size: number of arms that survive.
    """
    ranked = sorted(scores, key=lambda score: (-score[1], score[2]))
    return [arm for arm, _, _ in ranked[:size]]


def next_size(size: int) -> int:
    """Number of arms that survive a round of `size` arms."""
    return max(1, size // 2)
