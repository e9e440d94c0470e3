"""The rung that chooses what the network sees of an image: other framings, measured on the user's images.

A head is solved on the same images in each framing, and compared image by image. Samples of growing size come
first, so that what is hopeless costs little: all framings are tried on an eighth of the training images, and
the best of them on more. Nothing is switched before all training images were compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from regraft.advice.profile import read_by_probe
from regraft.data.findings.image_set import Images
from regraft.data.pictures.framing import FRAMINGS
from regraft.evaluation.intervals.groups import by_group
from regraft.features.extraction import Features
from regraft.heads.fitting import fit_head, heads_for
from regraft.heads.rows import Candidate, FittedHead, TrainingRows
from regraft.ladder.costs.solve_cost import solve_cost
from regraft.ladder.framed_features import framed_features
from regraft.ladder.rungs import KEEP_AT, SOLVED_SCALE, chance_better, gained
from regraft.ladder.solved_rungs import solve_probe, solved_contender
from regraft.ladder.state import State
from regraft.progress import WithoutNotes
from regraft.records import Framing, HeadKind, InputSpec, columns_of, width_of
from regraft.tasks.task import Measure

_RUNG = "framings"
_LEAST, _SHARE, _MOST = 128, 8, 1_024  # images that all framings are tried on: an eighth, within limits
_GROWTH = 4
_BRIEF = 64  # images for advice: 1,000 photographs must not go through the network once more
_HOPELESS_AT = 0.2
"""A framing that is better with a lower probability is not tried on more images."""
_OBLONG = 0.02
"""If fewer of the images are not square, only `cover` differs from `crop` by enough to be measured."""
_TIME_SHARE = 0.4
"""Share of the time left that comparing framings may be predicted to take, with changing to another."""
_ALWAYS = -1.0  # a probability that every contender exceeds


@dataclass(frozen=True)
class Tried:
    """A framing compared with the present one on a sample of the training images."""

    framing: Framing
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


def other_framings(spec: InputSpec, oblong_share: float) -> tuple[Framing, ...]:
    """The framings that show images otherwise than the present one does.

    Args:
        spec: the input of the network, with the present framing.
        oblong_share: share of the images that are not square.

    >>> other_framings(InputSpec(), 0.0), other_framings(InputSpec(crop_share=1.0), 0.0)
    (('cover',), ())
    >>> other_framings(InputSpec(), 1.0), other_framings(InputSpec(framing="pad", crop_share=1.0), 1.0)
    (('cover', 'squeeze', 'pad'), ('crop', 'squeeze'))
    """
    seen: dict[str, Framing] = {}
    for framing in (spec.framing, *FRAMINGS):
        is_square = oblong_share < _OBLONG
        shown = "cover" if spec.crop_share == 1 and framing == "crop" else framing
        seen.setdefault("cover" if is_square and shown != "crop" else shown, framing)
    return tuple(seen.values())[1:]


def sample_sizes(rows: TrainingRows) -> list[int]:
    """Numbers of training images on which framings are compared, one after the other; the last is all."""
    total = len(rows.keys)
    first = min(max(_LEAST, total // _SHARE), _MOST)
    sizes = [size for size in (first, _GROWTH * first) if size < total and rows.sample(size).doubt is None]
    return [*sizes, total]


def try_framings(state: State, *, is_brief: bool = False) -> None:
    """Measure other framings if `--framing` leaves it open, and go on with one that is better.

    Args:
        state: the state of the ladder.
        is_brief: whether to compare them on 64 images alone, which shows large differences only.
    """
    spec, images = state.inputs.weights.input_spec, state.inputs.dataset.images
    others = other_framings(spec, images.oblong_share)
    if state.inputs.settings.framing != "auto" or not others:
        return
    rows = state.training_rows
    if (rows.sample(_BRIEF) if is_brief and len(rows.keys) > _BRIEF else rows).doubt:
        why = "cross-validation says too little about these images to compare framings"
        _decided(state, spec.framing, why)
        return
    sizes = [min(_BRIEF, len(rows.keys))] if is_brief else sample_sizes(rows)
    predicted = state.predicted(_RUNG, _predicted_s(state, len(others), sizes))
    if predicted > _TIME_SHARE * state.time_left_s:
        share = f"more than {100 * _TIME_SHARE:.0f} % of the {max(0.0, state.time_left_s):.0f} s left"
        state.skip("other framings", predicted, f"predicted {predicted:.0f} s, {share} of the budget")
        _decided(state, spec.framing, "there is no time to compare it with other framings")
        return
    with state.timed(_RUNG, predicted_s=predicted) as timing:
        tried = _all_tried(state, others, sizes)
        best = tried[-1] if tried else None
        is_better = best is not None and best.images == sizes[-1] and best.chance > KEEP_AT
        features = _all_features(state, best.framing) if best and is_better else None
    _tell(state, tried if features is None else tried[:-1], predicted, timing.took_s)
    if best is None or features is None:
        listed = ", ".join(f"{one.framing} {one.compared} ({100 * one.chance:.0f} %)" for one in tried)
        why = f"no other is better with a probability of {100 * KEEP_AT:.0f} %: {listed}"
        _decided(state, spec.framing, why)
        return
    chance = f"and is better with a probability of {100 * best.chance:.0f} %"
    _decided(state, best.framing, f"it gives {best.compared} compared with {spec.framing}, {chance}")
    _switch(state, best, features, predicted_s=predicted, took_s=timing.took_s)


def _tell(state: State, losers: Sequence[Tried], predicted_s: float, took_s: float) -> None:
    """A row for each framing that was not better; the first has the time of all."""
    for number, one in enumerate(losers):
        is_first = number == 0
        state.tell(
            state.next_rung,
            _name(state, one),
            f"{one.compared}: better with probability {100 * one.chance:.0f} %",
            merit=one.merit,
            images=one.images,
            predicted_s=predicted_s if is_first else None,
            took_s=took_s if is_first else None,
        )


def _name(state: State, one: Tried) -> str:
    return f"{one.fitted.head.record.kind} @ {state.stages[-1]}, {one.framing}"


def _decided(state: State, framing: Framing, why: str) -> None:
    state.reporter.decided(f"framing {framing}", why, "--framing")


def _predicted_s(state: State, others: int, sizes: Sequence[int]) -> float:
    """Seconds that comparing takes, if one of the others is better in the end."""
    images = len(state.inputs.dataset.rows("train", "validation"))
    passes = images + (others - 1) * sizes[0]
    kind, columns = _reader(state)
    once = solve_cost(kind, state.amounts, width_of(columns), state.book).cost.seconds
    return passes * state.extract_s + (len(sizes) + others) * once


def _reader(state: State) -> tuple[HeadKind, Candidate]:
    """The kind of head that is solved in each framing, the fastest, and the columns of the probe."""
    kinds = heads_for(state.inputs.dataset.task.link)
    layout = state.inputs.dataset.features.layout
    return "ridge" if "ridge" in kinds else kinds[0], read_by_probe(columns_of(layout, state.stages[-1:]))


def _all_tried(state: State, others: Sequence[Framing], sizes: Sequence[int]) -> list[Tried]:
    """The last comparison of each framing, in the order in which they were given up; the best comes last."""
    over: list[Tried] = []
    left = list(others)
    for size in sizes:
        tried = _compared(state, left, state.training_rows.sample(size))
        if not tried:
            return over
        best = max(tried, key=lambda one: one.gain)  # among equals the first
        over += [one for one in tried if one is not best]
        if best.chance < _HOPELESS_AT or size == sizes[-1]:
            over.append(best)
            return over
        left = [best.framing]
    return over


def _compared(state: State, framings: Sequence[Framing], sample: TrainingRows) -> list[Tried]:
    """A head on a sample of the training images in each framing, against the same head in the present one."""
    task, images = sample.task, state.inputs.dataset.images.of(set(sample.keys))
    kind, columns = _reader(state)
    features = _features(state, images, framings)
    before = task.goodness(_out_of_fold(state, sample), sample.targets)
    tried = []
    for framing in framings:
        if not all(key in features[framing].rows for key in sample.keys):  # files that are gone meanwhile
            continue
        started = state.clock()
        fitted = fit_head(replace(sample, features=features[framing]), kind, [columns])
        took_s = state.clock() - started
        goodness = task.goodness(fitted.out_of_fold, sample.targets)
        chance = chance_better(
            (goodness - before) / task.span(sample.targets), SOLVED_SCALE, sample.group_numbers
        )
        merit, gain = task.merit(goodness, groups=sample.groups), float((goodness - before).mean())
        on = by_group(f"{len(sample.keys):,} images", sample.group_numbers)
        compared = f"{gained(merit, gain)} on {on}"
        tried.append(Tried(framing, len(sample.keys), merit, gain, chance, compared, fitted, took_s))
    return tried


def _out_of_fold(state: State, sample: TrainingRows) -> npt.NDArray[np.float64]:
    """Outputs of the head in the present framing; on all images it was solved before."""
    kind, columns = _reader(state)
    known = state.solved[0]
    if len(sample.keys) == len(state.training_rows.keys) and known.plan.head == kind and known.out_of_fold:
        return known.out_of_fold.values
    return fit_head(sample, kind, [columns]).out_of_fold


def _features(state: State, images: Images, framings: Sequence[Framing]) -> dict[Framing, Features]:
    inputs = state.inputs
    runtime = inputs.runtime or inputs.compute.open(inputs.weights, WithoutNotes(state.reporter))
    return framed_features(
        images, inputs.weights, framings, compute=inputs.compute, runtime=runtime, reporter=state.reporter
    )


def _all_features(state: State, framing: Framing) -> Features | None:
    """The features of all training and validation images; None if some of them can't be computed any more."""
    dataset = state.inputs.dataset
    keys = set(dataset.keys(dataset.rows("train", "validation")))
    features = _features(state, dataset.images.of(keys), [framing])[framing]
    return features if all(key in features.rows for key in keys) else None


def _switch(state: State, winner: Tried, features: Features, *, predicted_s: float, took_s: float) -> None:
    """Go on with another framing: its head is kept, and the probe is solved on the new features."""
    _, columns = _reader(state)
    state.show_otherwise(state.inputs.weights.framed(winner.framing), features)
    name = _name(state, winner)
    contender = solved_contender(state, name, "probe", state.stages[-1:], columns, winner.fitted)
    state.solved.append(contender)
    state.remembered(name, "took_s", winner.took_s)
    state.challenge(contender, predicted_s=predicted_s, took_s=took_s, needed=_ALWAYS)
    if contender.plan.head != "logistic":
        solve_probe(state, winner.framing)
