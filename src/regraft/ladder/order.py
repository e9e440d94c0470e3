"""Rungs from the cheapest up, tried while time is left, kept only if validation shows a gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from regraft.ladder.framings import try_framings
from regraft.ladder.richer_inputs import (
    larger_inputs,
    mirror_images,
    richer_s,
    try_larger_inputs,
    try_mirror_images,
)
from regraft.ladder.rungs import Contender
from regraft.ladder.solved_rungs import (
    profile_s,
    several_s,
    try_best_depth,
    try_classics,
    try_first,
    try_several_stages,
)
from regraft.ladder.state import State
from regraft.ladder.trained_rungs import try_training
from regraft.ladder.training_choice import can_train, preview_training
from regraft.ladder.variants import TRAINED_POINTS, gain_share
from regraft.progress import duration

# Points of accuracy that a group of rungs usually gains on what is kept before (docs/choosing.md, "Regret").
_SEVERAL_POINTS, _PEAK_POINTS = 2.0, 0.5
_RICHER_POINTS = 0.2  # larger inputs and mirror images gain on few sets (docs/log.md): last, if time is short


@dataclass(frozen=True)
class Group:
    """Rungs that are tried together."""

    name: str
    run: Callable[[State], object]
    points: float
    """Points of accuracy that they are expected to gain."""
    seconds: float
    """Predicted seconds."""


def try_rungs(state: State) -> Contender:
    """Try all rungs that the budget allows; returns the contender that is kept."""
    state.start()
    if state.time_left_s <= 0:
        state.reporter.warn(
            f"reading and features took {duration(state.elapsed_s)} and the test images need "
            f"{duration(state.reserve_s)}, which is more than the budget of "
            f"{duration(state.inputs.budget_s)}: only the first model is fitted"
        )
    try_first(state)
    assert state.best is not None
    if state.time_left_s <= 0:
        why = f"0 s left of the budget of {duration(state.inputs.budget_s)}"
        state.skip("other heads, and training", None, why)
        return state.best
    try_framings(state)
    groups = {group.name: group for group in _groups(state)}
    order = state.ledger.recall("order", "names")
    if order is None:
        order = [group.name for group in in_order(list(groups.values()), state.time_left_s)]
        state.ledger.note("order", names=order)
    for name in order:
        groups[name].run(state)
    return state.best


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


def _groups(state: State) -> list[Group]:
    """All groups, in the order in which they are tried if there is time enough for everything."""
    points, seconds = _training(state)
    larger_s, mirror_s = richer_s(state, larger_inputs(state)), richer_s(state, mirror_images(state))
    return [
        Group("larger inputs", try_larger_inputs, _RICHER_POINTS if larger_s else 0.0, larger_s),
        Group("mirror images", try_mirror_images, _RICHER_POINTS if mirror_s else 0.0, mirror_s),
        Group("several stages", try_several_stages, _SEVERAL_POINTS, several_s(state)),
        Group("depths", try_best_depth, _PEAK_POINTS, profile_s(state)),
        Group("classics", try_classics, 0.0, 0.0),
        Group("training", try_training, points, seconds),
    ]


def _training(state: State) -> tuple[float, float]:
    """Expected points and predicted seconds of the training that would be tried now."""
    if not can_train(state) or state.ledger.recall("order", "names") is not None:
        return 0.0, 0.0
    found = preview_training(state).tournament
    if found is None:
        return 0.0, 0.0
    best = max(map(partial(gain_share, epochs=found.rounds[-1], stages=len(state.stages)), found.variants))
    return TRAINED_POINTS * best, found.seconds
