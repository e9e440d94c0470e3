"""The climb: rungs from the cheapest up, tried while time is left, kept only if validation shows a gain."""

from __future__ import annotations

from regraft.ladder.rungs import Contender
from regraft.ladder.solved_rungs import climb_classics, climb_depths, climb_first
from regraft.ladder.standing import Standing
from regraft.ladder.trained_rungs import climb_trained


def climb(standing: Standing) -> Contender:
    """Try all rungs that the budget allows; returns the contender that is kept."""
    standing.start()
    climb_first(standing)
    climb_depths(standing)
    climb_classics(standing)
    climb_trained(standing)
    assert standing.best is not None
    return standing.best
