"""The rungs that show the network more of each image: a larger input, and the mirror image next to it.

They make every prediction more expensive, so they are compared on samples of growing size, and kept only if a
head on the richer input is more accurate than what is kept, with the probability that every rung needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from regraft.errors import NetworkError
from regraft.features.extraction import Features
from regraft.features.runtimes import Runtime
from regraft.ladder.input_trials import (
    HOPELESS_AT,
    TIME_SHARE,
    Tried,
    challenger,
    compared,
    every_key,
    sample_sizes,
    tell,
    trial_s,
    why_untried,
)
from regraft.ladder.rungs import KEEP_AT
from regraft.ladder.solved_rungs import several_s, solve_probe, try_several_stages
from regraft.ladder.state import State
from regraft.networks.adaptation import adapted
from regraft.networks.weights.finding import Weights
from regraft.progress import WithoutNotes
from regraft.records import InputSpec

_SIDES_PX = (288, 384)
_LEAST, _MOST = 1.1, 2.0
"""Limits of a larger side, as a multiple of the present one: networks for small images stay at theirs."""


@dataclass(frozen=True)
class Richer:
    """An input that shows more of each image than the present one."""

    name: str
    """For example `288 px`."""
    times: float
    """The cost of a pass, as a multiple of the present one."""
    make: Callable[[Weights], Weights]
    """Returns the network with this input; raises a NetworkError if it can't take it."""


@dataclass(frozen=True)
class Rung:
    """Inputs that are tried together, the cheapest first."""

    name: str
    inputs: tuple[Richer, ...]
    present: str
    """The present input in words, as in `input of 224 px`."""
    against: str
    """The same in short, as in `224 px`."""
    chosen: str
    """The same of another input, with its name to be filled in."""
    flag: str


@dataclass(frozen=True, eq=False)
class Opened:
    """A network with a richer input, ready to compute features."""

    way: Richer
    weights: Weights
    runtime: Runtime


def larger_sides(spec: InputSpec) -> tuple[int, ...]:
    """The larger inputs that are tried, as their sides in pixels.

    >>> larger_sides(InputSpec()), larger_sides(InputSpec(size_px=288)), larger_sides(InputSpec(size_px=32))
    ((288, 384), (384,), ())
    """
    return tuple(side for side in _SIDES_PX if _LEAST < side / spec.size_px <= _MOST)


def try_larger_inputs(state: State) -> None:
    """Measure larger inputs if `--image-size` leaves them open, and go on with one that is better."""
    rung = larger_inputs(state)
    if rung is not None:
        _try(state, rung)


def larger_inputs(state: State) -> Rung | None:
    """The larger inputs of the network; None if there are none, or the user chose the size."""
    spec = state.inputs.weights.input_spec
    sides = larger_sides(spec)
    if state.inputs.settings.image_size is not None or spec.width_px is not None or not sides:
        return None
    several = tuple(
        Richer(f"{side} px", (side / spec.size_px) ** 2, partial(adapted, size_px=side)) for side in sides
    )
    own = f"{spec.size_px} px"
    return Rung("larger inputs", several, f"input of {own}", own, "input of {name}", "--image-size")


def try_mirror_images(state: State) -> None:
    """Measure averages over mirror images if `--average` leaves it open, and go on with them if they help."""
    rung = mirror_images(state)
    if rung is not None:
        _try(state, rung)


def mirror_images(state: State) -> Rung | None:
    """Averages over an image and its mirror image; None if they are made already, or the user decided."""
    if state.inputs.settings.average != "auto" or state.inputs.weights.input_spec.average != "none":
        return None
    both = Richer("mirror images", 2.0, lambda weights: weights.averaged("mirror"))
    alone, averaged = "the image alone", "features averaged over {name}"
    return Rung("mirror images", (both,), f"features of {alone}", alone, averaged, "--average")


def richer_s(state: State, rung: Rung | None) -> float:
    """Predicted seconds of a rung with its cheapest input; 0 if it will not be tried."""
    if rung is None or _doubt(state):
        return 0.0
    return _predicted_s(state, rung.inputs[0].times, 1)


def _doubt(state: State) -> str:
    """Why richer inputs are not tried, whatever the budget; empty if they are."""
    why = why_untried(state, state.training_rows)
    if why:
        return f"{why}inputs"
    assert state.best is not None
    if state.best.plan.training is not None:
        return "a trained network is kept, and training it with another input takes another fit"
    return ""


def _try(state: State, rung: Rung) -> None:
    doubt = _doubt(state)
    if doubt:
        state.reporter.decided(rung.present, doubt, rung.flag)
        return
    several = _affordable(state, rung)
    if not several:
        return
    predicted = state.predicted(rung.name, _predicted_s(state, several[-1].times, len(several)))
    with state.timed(rung.name, predicted_s=predicted) as timing:
        tried = _all_tried(state, several)
        best = tried[-1] if tried else None
        whole = len(state.training_rows.keys)
        is_better = best is not None and best.images == whole and best.chance > KEEP_AT
        features = _all_features(state, best.way) if best and is_better else None
    losers = tried if features is None else tried[:-1]
    tell(state, [(one.way.way.name, one) for one in losers], predicted, timing.took_s)
    if best is None or features is None:
        listed = ", ".join(f"{one.way.way.name} {one.compared} ({100 * one.chance:.0f} %)" for one in tried)
        why = f"no other is better with a probability of {100 * KEEP_AT:.0f} %: {listed}"
        state.reporter.decided(rung.present, why if tried else "the network takes no other", rung.flag)
        return
    _switch(state, rung, best, features, predicted_s=predicted, took_s=timing.took_s)


def _affordable(state: State, rung: Rung) -> tuple[Richer, ...]:
    """The inputs that fit into the time; a row and a line say it if none does."""
    allowed = TIME_SHARE * state.time_left_s
    for count in range(len(rung.inputs), 0, -1):
        times = rung.inputs[count - 1].times
        predicted = state.predicted(f"{rung.name}, {count}", _predicted_s(state, times, count))
        if predicted + (times - 1) * state.test_s() <= allowed:
            return rung.inputs[:count]
    left = f"more than {100 * TIME_SHARE:.0f} % of the {max(0.0, state.time_left_s):.0f} s left of the budget"
    state.skip(rung.name, predicted, f"predicted {predicted:.0f} s, with the test images {left}")
    state.reporter.decided(rung.present, "there is no time to compare it with other inputs", rung.flag)
    return ()


def _predicted_s(state: State, times: float, count: int) -> float:
    """Seconds that a comparison of inputs takes, if the most expensive one is better in the end."""
    images = len(state.inputs.dataset.rows("train", "validation"))
    sizes = sample_sizes(state.training_rows)
    passes = images + (count - 1) * sizes[0]
    solving = (len(sizes) + count) * trial_s(state) + (several_s(state) if _had_several(state) else 0.0)
    return passes * times * state.extract_s + count * state.book.seconds("convert") + solving


def _had_several(state: State) -> bool:
    """Whether heads on several stages were solved, which another input then has to be compared with."""
    return any(one.plan.strategy == "many-stages" for one in state.solved)


def _all_tried(state: State, several: Sequence[Richer]) -> list[Tried[Opened]]:
    """The last comparison of each input, in the order in which they were given up; the best comes last.

    A more expensive input is not tried if the first sample leaves a cheaper one without prospects.
    """
    first, *later = sample_sizes(state.training_rows)
    over: list[Tried[Opened]] = []
    for way in several:
        opened = _opened(state, way)
        if opened is None:
            continue
        over += _on_sample(state, opened, first)
        if not over or over[-1].chance < HOPELESS_AT:
            break
    over.sort(key=lambda one: one.gain)
    for size in later:
        if not over or over[-1].chance < HOPELESS_AT:
            break
        again = _on_sample(state, over[-1].way, size)
        over = [*over[:-1], *again] if again else over
    return over


def _on_sample(state: State, opened: Opened, size: int) -> list[Tried[Opened]]:
    sample = state.training_rows.sample(size)
    return compared(state, sample, {opened: _features(state, opened, set(sample.keys))})


def _opened(state: State, way: Richer) -> Opened | None:
    inputs = state.inputs
    try:
        weights = way.make(inputs.weights)
        return Opened(way, weights, inputs.compute.open(weights, WithoutNotes(state.reporter)))
    except NetworkError:
        return None


def _features(state: State, opened: Opened, keys: set[str]) -> Features:
    inputs = state.inputs
    images = inputs.dataset.images.of(keys)
    return inputs.compute.extract(images, opened.runtime, opened.weights.input_spec, state.reporter)


def _all_features(state: State, opened: Opened) -> Features | None:
    """The features of all training and validation images; None if some of them can't be computed any more."""
    keys = every_key(state)
    features = _features(state, opened, keys)
    return features if all(key in features.rows for key in keys) else None


def _switch(
    state: State,
    rung: Rung,
    winner: Tried[Opened],
    features: Features,
    *,
    predicted_s: float,
    took_s: float,
) -> None:
    """Solve the heads again on the richer input, and go on with it if one of them is kept."""
    name, solved, had_several = winner.way.way.name, state.solved, _had_several(state)
    before = state.show_otherwise(winner.way.weights, features, winner.way.runtime)
    contender = challenger(state, winner, name)
    state.challenge(contender, predicted_s=predicted_s, took_s=took_s)
    if contender.plan.head != "logistic":
        solve_probe(state, name, needed=1 - KEEP_AT if state.keeps_present_input else KEEP_AT)
    if had_several:
        try_several_stages(state, name)
    chance = f"a probability of {100 * winner.chance:.0f} %"
    if state.keeps_present_input:
        why = f"it gives {winner.compared} compared with {rung.against}, and is better with {chance}"
        state.reporter.decided(rung.chosen.format(name=name), why, rung.flag)
        return
    state.go_back(before, solved)
    why = (
        f"the same head gains {winner.compared} with {name} ({chance}), but none is better than what is kept "
        f"with a probability of {100 * KEEP_AT:.0f} %"
    )
    state.reporter.decided(rung.present, why, rung.flag)
