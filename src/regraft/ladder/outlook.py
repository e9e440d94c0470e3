"""What would help most after a fit by the ladder, only from what it measured and predicted."""

from __future__ import annotations

import math
from collections.abc import Collection

from regraft.advice.better_network import Better, better_network
from regraft.advice.learning_curve import LearningCurve, learning_curve
from regraft.ladder.state import State
from regraft.networks.weights.finding import usable_here
from regraft.networks.zoo.cards import card
from regraft.progress import duration

_CURVE_TIMES = 4.0  # the curve takes up to so many times as long as the first head
_ROUND_S = 30.0
_LEAST_POINTS = 0.5
_FEATURES_SHARE = 0.5  # of the budget, that the features by another network may take


def measure_curve(state: State) -> LearningCurve | None:
    """The learning curve of the first head, if enough time is left and it has columns to be solved on."""
    if state.inputs.dataset.task.link != "softmax" or not state.solved or state.training_rows.doubt:
        return None
    first = state.solved[0]
    took = state.ledger.recall(first.name, "took_s")
    if took is None or _CURVE_TIMES * took > state.time_left_s:
        return None
    head = first.voters[0].head
    with state.timed("learning curve"):
        return learning_curve(state.training_rows, head)


def outlook(state: State, curve: LearningCurve | None, compared: Collection[str] = ()) -> str:
    """One sentence on what would gain most: a longer budget, more images or another network.

    It is empty if none of them is known to gain half a point.

    Args:
        state: the state at the end.
        curve: the learning curve, if there was time to measure it.
        compared: names of the networks from which this one was chosen on the user's images.
    """
    ways = []
    if state.untried:
        best = max(state.untried, key=lambda one: one.points)
        whole = state.elapsed_s + state.reserve_s + best.seconds
        budget = _ROUND_S * math.ceil(1.1 * whole / _ROUND_S)
        ways.append(
            (
                best.points,
                f"a budget of {duration(budget)}, for {best.name}: predicted {duration(best.seconds)}"
                + (
                    f"; that usually gains about {best.points:.1f} points more, and does not always"
                    if _has_accuracy(state)
                    else ""
                ),
            )
        )
    if curve is not None and curve.doubling_gain is not None:
        gain = curve.doubling_gain
        low, high = 100 * (gain.low or 0.0), 100 * (gain.high or 0.0)
        ways.append(
            (
                100 * gain.value,
                f"more images: twice as many would add {100 * gain.value:.1f} points [{low:.1f}, {high:.1f}]"
                f"{curve.title and f' of {curve.title}'} to the first head (from its learning curve)",
            )
        )
    better = _better_network(state, compared)
    if better is not None:
        ways.append((better.points, better.described))
    ways = [way for way in ways if way[0] >= _LEAST_POINTS]
    return f"what would help most: {max(ways)[1]}" if ways else ""


def _has_accuracy(state: State) -> bool:
    """Whether models are compared by their accuracy, as priors about points are measured for it alone."""
    return state.inputs.dataset.task.link == "softmax"


def _better_network(state: State, compared: Collection[str]) -> Better | None:
    """A network that the prior prefers and whose features would take at most half of the budget."""
    inputs = state.inputs
    own = card(inputs.weights.network)
    if own is None or not _has_accuracy(state):
        return None
    whole_s = state.extract_s * (state.amounts.train + inputs.test_images)
    return better_network(
        own.name,
        here=[one.network for one in usable_here(inputs.settings.weights)],
        compared=compared,
        most_multiply_adds=own.multiply_adds * _FEATURES_SHARE * inputs.budget_s / whole_s,
        accept_licence=inputs.settings.accept_license,
    )
