"""What would help most after a climb, only from what it measured and predicted."""

from __future__ import annotations

import math

from regraft.advice.learning_curve import LearningCurve, learning_curve
from regraft.ladder.standing import Standing
from regraft.progress import duration

_CURVE_TIMES = 4.0  # the curve takes up to so many times as long as the first head
_ROUND_S = 30.0
_LEAST_POINTS = 0.5


def measure_curve(standing: Standing) -> LearningCurve | None:
    """The learning curve of the first head, if enough time is left and it has columns to be solved on."""
    if standing.terrain.job.task.link != "softmax" or not standing.solved or standing.training_rows.doubt:
        return None
    first = standing.solved[0]
    took = standing.ledger.recall(first.name, "took_s")
    if took is None or _CURVE_TIMES * took > standing.time_left_s:
        return None
    found: list[LearningCurve] = []
    head = first.voters[0].head
    standing.clocked("learning curve", lambda: found.append(learning_curve(standing.training_rows, head)))
    return found[0]


def outlook(standing: Standing, curve: LearningCurve | None) -> str:
    """One sentence on what would gain most: a longer budget or more images; empty if neither is known to.

    Args:
        standing: the climb at its end.
        curve: the learning curve, if there was time to measure it.
    """
    ways = []
    if standing.untried:
        best = max(standing.untried, key=lambda one: one.points)
        whole = standing.elapsed_s + standing.reserve_s + best.seconds
        budget = _ROUND_S * math.ceil(1.1 * whole / _ROUND_S)
        ways.append(
            (
                best.points,
                f"a budget of {duration(budget)}, for {best.name}: predicted {duration(best.seconds)}; "
                f"that usually gains about {best.points:.1f} points more, and does not always",
            )
        )
    if curve is not None and curve.doubling_gain is not None:
        gain = curve.doubling_gain
        low, high = 100 * (gain.low or 0.0), 100 * (gain.high or 0.0)
        ways.append(
            (
                100 * gain.value,
                f"more images: twice as many would add {100 * gain.value:.1f} points [{low:.1f}, {high:.1f}] "
                "to the first head (from its learning curve)",
            )
        )
    ways = [way for way in ways if way[0] >= _LEAST_POINTS]
    return f"what would help most: {max(ways)[1]}" if ways else ""
