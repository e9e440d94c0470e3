"""The climb: rungs from the cheapest up, tried while time is left, kept only if validation shows a gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from regraft.ladder.arms import TRAINED_POINTS, gain_share
from regraft.ladder.rungs import Contender
from regraft.ladder.solved_rungs import (
    climb_classics,
    climb_depths,
    climb_first,
    climb_peak,
    profile_s,
    several_s,
)
from regraft.ladder.standing import Standing
from regraft.ladder.trained_rungs import climb_trained
from regraft.ladder.training_choice import can_train, preview_training
from regraft.progress import duration

# Points of accuracy that a group of rungs usually gains on what is kept before (docs/choosing.md, "Regret").
_SEVERAL_POINTS, _PEAK_POINTS = 2.0, 0.5


@dataclass(frozen=True)
class Group:
    """Rungs that are tried together."""

    name: str
    climb: Callable[[Standing], object]
    points: float
    """Points of accuracy that they are expected to gain."""
    seconds: float
    """Predicted seconds."""


def climb(standing: Standing) -> Contender:
    """Try all rungs that the budget allows; returns the contender that is kept."""
    standing.start()
    if standing.time_left_s <= 0:
        standing.reporter.warn(
            f"reading and features took {duration(standing.elapsed_s)} and the test images need "
            f"{duration(standing.reserve_s)}, which is more than the budget of "
            f"{duration(standing.terrain.budget_s)}: only the first model is fitted"
        )
    climb_first(standing)
    assert standing.best is not None
    if standing.time_left_s <= 0:
        why = f"0 s left of the budget of {duration(standing.terrain.budget_s)}"
        standing.skip("other heads, and training", None, why)
        return standing.best
    groups = {group.name: group for group in _groups(standing)}
    order = standing.ledger.recall("order", "names")
    if order is None:
        order = [group.name for group in in_order(list(groups.values()), standing.time_left_s)]
        standing.ledger.note("order", names=order)
    for name in order:
        groups[name].climb(standing)
    return standing.best


def in_order(groups: Sequence[Group], time_left_s: float) -> list[Group]:
    """The groups as listed if all of them fit into the time, else by their expected gain per second.

    >>> slow, quick = Group("slow", print, 5.0, 60.0), Group("quick", print, 2.0, 10.0)
    >>> [group.name for group in in_order([slow, quick], 100.0)]
    ['slow', 'quick']
    >>> [group.name for group in in_order([slow, quick], 65.0)]
    ['quick', 'slow']
    """
    if sum(group.seconds for group in groups) <= time_left_s:
        return list(groups)
    return sorted(groups, key=lambda group: -group.points / max(group.seconds, 0.1))


def _groups(standing: Standing) -> list[Group]:
    """All groups, in the order in which they are tried if there is time enough for everything."""
    points, seconds = _training(standing)
    return [
        Group("several stages", climb_depths, _SEVERAL_POINTS, several_s(standing)),
        Group("depths", climb_peak, _PEAK_POINTS, profile_s(standing)),
        Group("classics", climb_classics, 0.0, 0.0),
        Group("training", climb_trained, points, seconds),
    ]


def _training(standing: Standing) -> tuple[float, float]:
    """Expected points and predicted seconds of the training that would be tried now."""
    if not can_train(standing) or standing.ledger.recall("order", "names") is not None:
        return 0.0, 0.0
    found = preview_training(standing).tournament
    if found is None:
        return 0.0, 0.0
    best = max(map(partial(gain_share, epochs=found.rounds[-1], stages=len(standing.stages)), found.arms))
    return TRAINED_POINTS * best, found.seconds
