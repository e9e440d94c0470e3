"""Whether the network sees more in another input, by a head on the same images in the one and the other.

Samples of growing size come first, so that what is hopeless costs little. Nothing is switched before all
training images were compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from regraft.advice.profile import read_by_probe
from regraft.evaluation.intervals.groups import by_group
from regraft.features.extraction import Features
from regraft.heads.fitting import fit_head, heads_for
from regraft.heads.rows import Candidate, FittedHead, TrainingRows
from regraft.ladder.costs.solve_cost import solve_cost
from regraft.ladder.rungs import SOLVED_SCALE, Contender, chance_better, gained
from regraft.ladder.solved_rungs import solved_contender
from regraft.ladder.state import State
from regraft.records import HeadKind, Layout, columns_of, width_of
from regraft.tasks.task import Measure

Way = TypeVar("Way")
"""How images are shown: a framing, or an input of another size."""

HOPELESS_AT = 0.2
"""What is better with a lower probability is not tried on more images."""
TIME_SHARE = 0.4
"""Share of the time left that a comparison may be predicted to take, with changing to another input."""
_LEAST, _SHARE, _MOST = 128, 8, 1_024  # images of the first sample: an eighth, within limits
_GROWTH = 4


@dataclass(frozen=True)
class Tried(Generic[Way]):
    """An input compared with the present one on a sample of the training images."""

    way: Way
    images: int
    merit: Measure
    gain: float
    """Difference of the mean goodness."""
    chance: float
    """Probability of being better."""
    compared: str
    """The gain in words, and on how many images."""
    fitted: FittedHead
    took_s: float
    """Seconds that solving the head took."""


def why_untried(state: State, rows: TrainingRows) -> str:
    """Why inputs can't be compared on some rows, as the end of a sentence; empty if they can."""
    if rows.doubt:
        return "cross-validation says too little about these images to compare "
    first = state.solved[0].plan.most_images if state.solved else None
    if first is not None and first < len(rows.keys):
        return f"{first:,} of {len(rows.keys):,} training images are as many as fit, too few to compare "
    return ""


def sample_sizes(rows: TrainingRows) -> list[int]:
    """Numbers of training images on which inputs are compared, one after the other; the last is all."""
    total = len(rows.keys)
    first = min(max(_LEAST, total // _SHARE), _MOST)
    sizes = [size for size in (first, _GROWTH * first) if size < total and rows.sample(size).doubt is None]
    return [*sizes, total]


def trial_s(state: State) -> float:
    """Predicted seconds of the head that is solved for each input."""
    kind, columns = _reader(state, state.inputs.dataset.features.layout)
    return solve_cost(kind, state.amounts, width_of(columns), state.book).cost.seconds


def compared(state: State, sample: TrainingRows, shown: Mapping[Way, Features]) -> list[Tried[Way]]:
    """A head on a sample of the training images in each input, against the same head in the present one.

    Args:
        state: the state of the ladder.
        sample: the sample.
        shown: its features in each other input; an input in which some are missing is left out.
    """
    task = sample.task
    before = _out_of_fold(state, sample)
    tried = []
    for way, features in shown.items():
        if not all(key in features.rows for key in sample.keys):  # files that are gone meanwhile
            continue
        kind, columns = _reader(state, features.layout)
        started = state.clock()
        fitted = fit_head(replace(sample, features=features), kind, [columns])
        took_s = state.clock() - started
        known = sample if fitted.sample is None else sample.subset(fitted.sample)  # the same in each input
        goodness = task.goodness(fitted.out_of_fold, known.targets)
        gains = goodness - task.goodness(before, known.targets)
        chance = chance_better(gains / task.span(known.targets), SOLVED_SCALE, known.group_numbers)
        merit, gain = task.merit(goodness, groups=known.groups), float(gains.mean())
        on = by_group(f"{len(known.keys):,} images", known.group_numbers)
        words = f"{gained(merit, gain)} on {on}"
        tried.append(Tried(way, len(sample.keys), merit, gain, chance, words, fitted, took_s))
    return tried


def tell(state: State, losers: Sequence[tuple[str, Tried[Way]]], predicted_s: float, took_s: float) -> None:
    """A row for each input that was not better, by its name; the first has the time of all."""
    for number, (name, one) in enumerate(losers):
        is_first = number == 0
        state.tell(
            state.next_rung,
            named(state, one, name),
            f"{one.compared}: better with probability {100 * one.chance:.0f} %",
            merit=one.merit,
            images=one.images,
            predicted_s=predicted_s if is_first else None,
            took_s=took_s if is_first else None,
        )


def named(state: State, one: Tried[Way], name: str) -> str:
    """The name of the rung of a head that was solved in another input, such as `ridge @ layer4, squeeze`."""
    return f"{one.fitted.head.record.kind} @ {state.stages[-1]}, {name}"


def challenger(state: State, winner: Tried[Way], name: str) -> Contender:
    """The head of a comparison as a contender; the state has its input by now."""
    _, columns = _reader(state, state.inputs.dataset.features.layout)
    rung = named(state, winner, name)
    contender = solved_contender(state, rung, "probe", state.stages[-1:], columns, winner.fitted)
    state.solved.append(contender)
    state.remembered(rung, "took_s", winner.took_s)
    return contender


def every_key(state: State) -> set[str]:
    """The content hashes of all training and validation images."""
    dataset = state.inputs.dataset
    return set(dataset.keys(dataset.rows("train", "validation")))


def _reader(state: State, layout: Layout) -> tuple[HeadKind, Candidate]:
    """The kind of head that is solved in each input, the fastest, and the columns of the probe."""
    kinds = heads_for(state.inputs.dataset.task.link)
    return "ridge" if "ridge" in kinds else kinds[0], read_by_probe(columns_of(layout, state.stages[-1:]))


def _out_of_fold(state: State, sample: TrainingRows) -> npt.NDArray[np.float64]:
    """Outputs of the head in the present input; on all images it was solved before."""
    kind, columns = _reader(state, state.inputs.dataset.features.layout)
    known = state.solved[0]
    if len(sample.keys) == len(state.training_rows.keys) and known.plan.head == kind and known.out_of_fold:
        return known.out_of_fold.values
    return fit_head(sample, kind, [columns]).out_of_fold
