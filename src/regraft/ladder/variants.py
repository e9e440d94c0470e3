"""The trainings that a ladder tries: cuts and learning rates, chosen by successive halving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

FINAL_EPOCHS = 8
LEAST_EPOCHS = 3
_TRIAL_EPOCHS = (2, 4)
TRAINED_POINTS = 5.0
"""Points of accuracy that a whole training usually gains where it gains (docs/choosing.md, "Regret")."""
_LEAST_SHARE = 0.5
"""A shorter or deeper training is tried if it is expected to give at least this share of the usual gain."""
_SHARES = {1: 0.1, 2: 0.3, 3: 0.55, 4: 0.75, 5: 0.85, 6: 0.9, 7: 0.95}
"""Share of the usual gain that a training gives, by its number of epochs (docs/log.md, "Short trainings")."""
_DEEP = {4: 1.0, 8: 0.9, 14: 0.6}
"""Share of the usual gain if at least one stage in N is trained, by N."""


@dataclass(frozen=True)
class Variant:
    """One training to try: a cut and a learning rate."""

    count: int
    """Number of stages that stay frozen."""
    lr: float

    def named(self, stages: Sequence[str]) -> str:
        """The variant in words: `train layer3…layer4 at 0.001`, or `train everything at 0.001`."""
        last = stages[self.count :]
        what = "everything" if self.count == 0 else last[0] if len(last) == 1 else f"{last[0]}…{last[-1]}"
        return f"train {what} at {self.lr:g}"


def possible_variants(stages: int, lr: float) -> list[Variant]:
    """All variants, the most promising first: half of the network, all, a quarter; then other learning rates.

    Args:
        stages: number of stages of the network.
        lr: the learning rate to try first.
    """
    half, quarter = max(1, stages // 2), min(stages - 1, round(0.75 * stages))
    cuts = list(dict.fromkeys(count for count in (half, 0, quarter) if 0 <= count < stages))
    usual = [Variant(count, lr) for count in cuts]
    return [*usual, *(Variant(count, lr * factor) for factor in (3.0, 0.3) for count in cuts[:2])]


def deeper_variants(stages: int, lr: float) -> list[Variant]:
    """Trainings of fewer stages, for a time that is too short for the usual ones.

    Args:
        stages: number of stages of the network.
        lr: the learning rate.

    >>> [variant.count for variant in deeper_variants(14, 1e-3)]
    [12, 13]
    """
    cuts = dict.fromkeys((min(stages - 1, round(0.875 * stages)), stages - 1))
    return [Variant(count, lr) for count in cuts if count > round(0.75 * stages)]


def gain_share(variant: Variant, epochs: int, stages: int) -> float:
    """The expected gain of a training, as a share of what the usual eight epochs gain.

    Args:
        variant: the training.
        epochs: its number of epochs.
        stages: number of stages of the network.

    >>> gain_share(Variant(10, 1e-3), 8, 14), gain_share(Variant(12, 1e-3), 4, 14)
    (1.0, 0.675)
    """
    trained = max(1, stages - variant.count)
    deep = next((share for most, share in _DEEP.items() if trained * most >= stages), min(_DEEP.values()))
    return deep * _SHARES.get(epochs, 1.0)


@dataclass(frozen=True)
class Tournament:
    """Variants that fit into the time, and the epochs of each round; the last round is the final training."""

    variants: tuple[Variant, ...]
    rounds: tuple[int, ...]
    seconds: float


def choose_tournament(
    variants: Sequence[Variant],
    cost: Callable[[Variant, int, bool], float],
    time_left_s: float,
    *,
    deeper: Sequence[Variant] = (),
    stages: int | None = None,
) -> Tournament | None:
    """The largest tournament that fits into the time, else the single training with the best prospects.

    None if nothing fits that is expected to give half of the usual gain.

    Args:
        variants: the variants in order of preference.
        cost: returns the seconds of a variant, given its number of epochs and whether it is only a trial.
        time_left_s: seconds that the tournament may take.
        deeper: variants that train fewer stages, for a time that is too short for the others.
        stages: number of stages of the network; None takes one more than the deepest cut.
    """
    for size in (n for n in (6, 4, 2) if n <= len(variants)):
        fitting = [variant for variant in variants if cost(variant, FINAL_EPOCHS, False) <= time_left_s][
            :size
        ]
        if len(fitting) < size:
            continue
        seconds = tournament_seconds(fitting, cost)
        if seconds <= time_left_s:
            rounds = _TRIAL_EPOCHS[: len(_halves(size)) - 1]
            return Tournament(tuple(fitting), (*rounds, FINAL_EPOCHS), seconds)
    count = stages or 1 + max(variant.count for variant in (*variants, *deeper))
    return _short(shorter(variants, deeper), cost, time_left_s, count)


def shorter(variants: Sequence[Variant], deeper: Sequence[Variant]) -> list[Variant]:
    """The variants that may be tried with fewer epochs: those with the learning rate that is tried first."""
    return [*(variant for variant in variants if variant.lr == variants[0].lr), *deeper]


def _short(
    variants: Sequence[Variant], cost: Callable[[Variant, int, bool], float], time_left_s: float, stages: int
) -> Tournament | None:
    """The training with the largest expected gain that fits; among equals the one that takes less time."""
    found = [
        (gain_share(variant, epochs, stages), -cost(variant, epochs, False), variant, epochs)
        for variant in variants
        for epochs in range(LEAST_EPOCHS, FINAL_EPOCHS + 1)
    ]
    fitting = [one for one in found if one[0] >= _LEAST_SHARE and -one[1] <= time_left_s]
    if not fitting:
        return None
    _, seconds, variant, epochs = max(fitting, key=lambda one: one[:2])
    return Tournament((variant,), (epochs,), -seconds)


def tournament_seconds(variants: Sequence[Variant], cost: Callable[[Variant, int, bool], float]) -> float:
    """Predicted seconds; in later rounds those of the most expensive ones, as the survivors are unknown."""
    halves = _halves(len(variants))
    total = 0.0
    for epochs, size in zip((*_TRIAL_EPOCHS[: len(halves) - 1], FINAL_EPOCHS), halves, strict=True):
        is_trial = size > 1 or epochs != FINAL_EPOCHS
        dearest = sorted((cost(variant, epochs, is_trial) for variant in variants), reverse=True)
        total += sum(dearest[:size])
    return total


def _halves(size: int) -> list[int]:
    """Number of variants in each round: 6 3 1, 4 2 1, 2 1, 1.

    >>> _halves(6), _halves(1)
    ([6, 3, 1], [1])
    """
    sizes = [size]
    while sizes[-1] > 1:
        sizes.append(max(1, sizes[-1] // 2))
    return sizes


def survivors(scores: Sequence[tuple[Variant, float, float]], size: int) -> list[Variant]:
    """The best variants of a round by validation accuracy, then by loss.

    Args:
        scores: `(variant, accuracy, loss)` of each variant.
        size: number of variants that survive.
    """
    ranked = sorted(scores, key=lambda score: (-score[1], score[2]))
    return [variant for variant, _, _ in ranked[:size]]


def next_size(size: int) -> int:
    """Number of variants that survive a round of `size` variants."""
    return max(1, size // 2)
