"""The climb: rungs from the cheapest up, each tried while time is left, kept only if validation says so."""

from __future__ import annotations

from regraft.advice.profile import DepthProfile
from regraft.ladder.rungs import Contender
from regraft.ladder.solved_rungs import climb_classics, climb_depths, climb_first
from regraft.ladder.standing import Standing
from regraft.ladder.trained_rungs import climb_trained


def climb(standing: Standing) -> tuple[Contender, DepthProfile]:
    """Climb as far as it pays; returns what is kept, and what each depth knows."""
    standing.start()
    climb_first(standing)
    profile = climb_depths(standing)
    climb_classics(standing)
    climb_trained(standing)
    assert standing.best is not None
    return standing.best, profile
