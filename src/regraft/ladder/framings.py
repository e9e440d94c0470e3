"""The rung that chooses what the network sees of an image: other framings, measured on the user's images.

A head is solved on the same images in each framing, and compared image by image. Samples of growing size come
first, so that what is hopeless costs little: all framings are tried on an eighth of the training images, and
the best of them on more. Nothing is switched before all training images were compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from regraft.data.findings.image_set import Images
from regraft.data.pictures.framing import FRAMINGS
from regraft.features.extraction import Features
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
from regraft.ladder.inputs.framed_features import framed_features
from regraft.ladder.rungs import KEEP_AT
from regraft.ladder.solved_rungs import solve_probe
from regraft.ladder.state import State
from regraft.progress import WithoutNotes
from regraft.records import Framing, InputSpec

_RUNG = "framings"
_BRIEF = 64  # images for advice: 1,000 photographs must not go through the network once more
_OBLONG = 0.02
"""If fewer of the images are not square, only `cover` differs from `crop` by enough to be measured."""
_ALWAYS = -1.0  # a probability that every contender exceeds


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
    why = why_untried(state, rows.sample(_BRIEF) if is_brief and len(rows.keys) > _BRIEF else rows)
    if why:
        _decided(state, spec.framing, f"{why}framings")
        return
    sizes = [min(_BRIEF, len(rows.keys))] if is_brief else sample_sizes(rows)
    predicted = state.predicted(_RUNG, _predicted_s(state, len(others), sizes))
    if predicted > TIME_SHARE * state.time_left_s:
        share = f"more than {100 * TIME_SHARE:.0f} % of the {max(0.0, state.time_left_s):.0f} s left"
        state.skip("other framings", predicted, f"predicted {predicted:.0f} s, {share} of the budget")
        _decided(state, spec.framing, "there is no time to compare it with other framings")
        return
    with state.timed(_RUNG, predicted_s=predicted) as timing:
        tried = _all_tried(state, others, sizes)
        best = tried[-1] if tried else None
        is_better = best is not None and best.images == sizes[-1] and best.chance > KEEP_AT
        features = _all_features(state, best.way) if best and is_better else None
    losers = tried if features is None else tried[:-1]
    tell(state, [(one.way, one) for one in losers], predicted, timing.took_s)
    if best is None or features is None:
        listed = ", ".join(f"{one.way} {one.compared} ({100 * one.chance:.0f} %)" for one in tried)
        why = f"no other is better with a probability of {100 * KEEP_AT:.0f} %: {listed}"
        _decided(state, spec.framing, why)
        return
    chance = f"and is better with a probability of {100 * best.chance:.0f} %"
    _decided(state, best.way, f"it gives {best.compared} compared with {spec.framing}, {chance}")
    _switch(state, best, features, predicted_s=predicted, took_s=timing.took_s)


def _decided(state: State, framing: Framing, why: str) -> None:
    state.reporter.decided(f"framing {framing}", why, "--framing")


def _predicted_s(state: State, others: int, sizes: Sequence[int]) -> float:
    """Seconds that comparing takes, if one of the others is better in the end."""
    images = len(state.inputs.dataset.rows("train", "validation"))
    passes = images + (others - 1) * sizes[0]
    return passes * state.extract_s + (len(sizes) + others) * trial_s(state)


def _all_tried(state: State, others: Sequence[Framing], sizes: Sequence[int]) -> list[Tried[Framing]]:
    """The last comparison of each framing, in the order in which they were given up; the best comes last."""
    over: list[Tried[Framing]] = []
    left = list(others)
    for size in sizes:
        sample = state.training_rows.sample(size)
        images = state.inputs.dataset.images.of(set(sample.keys))
        tried = compared(state, sample, _features(state, images, left))
        if not tried:
            return over
        best = max(tried, key=lambda one: one.gain)  # among equals the first
        over += [one for one in tried if one is not best]
        if best.chance < HOPELESS_AT or size == sizes[-1]:
            over.append(best)
            return over
        left = [best.way]
    return over


def _features(state: State, images: Images, framings: Sequence[Framing]) -> dict[Framing, Features]:
    inputs = state.inputs
    runtime = inputs.runtime or inputs.compute.open(inputs.weights, WithoutNotes(state.reporter))
    return framed_features(
        images, inputs.weights, framings, compute=inputs.compute, runtime=runtime, reporter=state.reporter
    )


def _all_features(state: State, framing: Framing) -> Features | None:
    """The features of all training and validation images; None if some of them can't be computed any more."""
    keys = every_key(state)
    features = _features(state, state.inputs.dataset.images.of(keys), [framing])[framing]
    return features if all(key in features.rows for key in keys) else None


def _switch(
    state: State, winner: Tried[Framing], features: Features, *, predicted_s: float, took_s: float
) -> None:
    """Go on with another framing: its head is kept, and the probe is solved on the new features."""
    state.show_otherwise(state.inputs.weights.framed(winner.way), features)
    contender = challenger(state, winner, winner.way)
    state.challenge(contender, predicted_s=predicted_s, took_s=took_s, needed=_ALWAYS)
    if contender.plan.head != "logistic":
        solve_probe(state, winner.way)
