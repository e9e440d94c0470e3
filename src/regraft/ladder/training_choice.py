"""Which training the ladder tries, from predicted times; measuring them takes a tenth of the time left."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from regraft.ladder.state import State
from regraft.ladder.variants import (
    FINAL_EPOCHS,
    Tournament,
    Variant,
    choose_tournament,
    deeper_variants,
    possible_variants,
    shorter,
)
from regraft.plans.costs import Cost, training_cost
from regraft.plans.planning import make_plan
from regraft.plans.step_costs import TailCost, estimate_step, step_name, tail_work
from regraft.progress import WithoutNotes
from regraft.records import Record
from regraft.training.timing import measure_matrix, measure_step

if TYPE_CHECKING:
    from regraft.plans.plan import Plan

LEAST_HELD = 60
"""Fewer held-out images can't tell whether training helped: each counts more than 1.5 points."""
USUAL_RATE = 1e-3
_MEASURING_SHARE = 0.1
"""Share of the time left that timing a step may take."""
_SAFE_SHARE = 0.85
"""Share of the time left that a training may be predicted to take: the load may grow meanwhile, and a
training that ends in the middle of its schedule gains less than a shorter one."""
_FAR = 3.0
"""A training that is predicted to take this many times as long as is left is not timed."""
_FRESH_S = 3_600.0
"""A factor measured within this time is not measured again, unless it decides against training."""
_TIMING = "timing a step"


class TrainingCosts(Record):
    """The cost of training after each cut, as far as the ladder considers it."""

    tails: dict[int, TailCost]
    """By the number of stages before the cut."""
    correction: float = 1.0
    """What predictions are multiplied by, as earlier ones were wrong by this factor."""

    def cost(self, state: State, variant: Variant, *, epochs: int, is_trial: bool = False) -> Cost:
        """The cost of a variant; the user's number of epochs replaces `epochs` except in trials."""
        count = epochs if is_trial else state.inputs.training.epochs or epochs
        cost = training_cost(state.amounts, self.tails[variant.count], epochs=count, is_trial=is_trial)
        return cost.model_copy(update={"seconds": cost.seconds * self.correction})

    def seconds(self, state: State, variant: Variant, epochs: int, is_trial: bool) -> float:
        """The seconds of `cost`."""
        return self.cost(state, variant, epochs=epochs, is_trial=is_trial).seconds


class Choice(Record):
    """What was decided about training, recorded so that the same command decides the same again."""

    costs: TrainingCosts
    variants: tuple[tuple[int, float], ...] = ()
    """Cut and learning rate of the variants to try; none if no training fits."""
    rounds: tuple[int, ...] = ()
    """Epochs of each round."""
    seconds: float = 0.0
    """Predicted seconds of all rounds."""

    @property
    def tournament(self) -> Tournament | None:
        """The variants and rounds; None if no training fits."""
        if not self.variants:
            return None
        return Tournament(tuple(Variant(*variant) for variant in self.variants), self.rounds, self.seconds)


def can_train(state: State) -> bool:
    """Whether enough images are held out to tell whether training helped."""
    return state.amounts.held >= LEAST_HELD


def choose_training(state: State) -> Choice:
    """The training that fits into the time left, by predictions; one step of the best candidate is timed."""
    known = state.ledger.recall("training", "choice")
    if known is not None:
        if state.ledger.recall(_TIMING, "took_s") is not None:
            with state.timed(_TIMING):
                pass  # it counts as spent, as it did before
        return Choice.model_validate(known)
    costs = estimate_costs(state)
    choice = _chosen(state, costs)
    if _is_worth_timing(state, choice):
        best = choice.tournament.variants[0] if choice.tournament else cheapest(state, costs)
        time_step(state, best)
        choice = _chosen(state, estimate_costs(state))
    state.ledger.note("training", choice=choice.model_dump(mode="json"))
    return choice


def preview_training(state: State) -> Choice:
    """The training that would fit into the time left, by predictions alone; nothing is timed or recorded."""
    return _chosen(state, estimate_costs(state))


def _chosen(state: State, costs: TrainingCosts) -> Choice:
    def seconds(variant: Variant, epochs: int, is_trial: bool) -> float:
        return costs.seconds(state, variant, epochs, is_trial)

    variants = allowed_variants(state)
    left = _SAFE_SHARE * state.time_left_s
    found = choose_tournament(variants, seconds, left, deeper=deeper_allowed(state), stages=len(state.stages))
    if found is None:
        return Choice(costs=costs)
    listed = tuple((variant.count, variant.lr) for variant in found.variants)
    return Choice(costs=costs, variants=listed, rounds=found.rounds, seconds=found.seconds)


def cheapest(state: State, costs: TrainingCosts) -> Variant:
    """The variant that takes the least time."""
    variants = shorter(allowed_variants(state), deeper_allowed(state))
    return min(variants, key=lambda variant: costs.seconds(state, variant, FINAL_EPOCHS // 2, False))


def _is_worth_timing(state: State, choice: Choice) -> bool:
    """Whether to time a step: its rate is unknown, or old, or decides against a training that is near."""
    left = state.time_left_s
    if left <= 0 or not can_train(state):
        return False
    settings = variant_plan(state, Variant(0, USUAL_RATE), FINAL_EPOCHS).training
    assert settings is not None
    name = step_name(state.inputs.weights, settings, state.inputs.settings.device)
    if choice.variants:
        return state.book.age_s(name) > _FRESH_S
    variant = cheapest(state, choice.costs)
    return choice.costs.seconds(state, variant, FINAL_EPOCHS // 2, False) <= _FAR * left


def time_step(state: State, variant: Variant) -> None:
    """Time one warm training step of a variant, and keep how it compares with the prediction."""
    inputs, book = state.inputs, state.book
    settings = variant_plan(state, variant, FINAL_EPOCHS).training
    assert settings is not None
    limit_s = max(0.0, _MEASURING_SHARE * state.time_left_s - open_s(state))
    with state.timed(_TIMING), state.reporter.phase("timing a training step", 1, "steps") as meter:
        measure_step(
            inputs.weights, variant.count, settings, book, classes=state.amounts.classes,
            device=inputs.settings.device, limit_s=limit_s,
        )  # fmt: skip
        meter.advance()


def open_s(state: State) -> float:
    """Seconds to load a network for training, with torch where it is not loaded yet."""
    book = state.book
    return book.seconds("open") + (0.0 if "torch" in sys.modules else book.seconds("import"))


def estimate_costs(state: State) -> TrainingCosts:
    """The predicted costs of all variants, without taking a step."""
    inputs, book = state.inputs, state.book
    if "matrix" not in book or book.age_s("matrix") > _FRESH_S:
        measure_matrix(book)
    counts = {variant.count for variant in (*allowed_variants(state), *deeper_allowed(state))}
    tails = {}
    for count in sorted(counts):
        settings = variant_plan(state, Variant(count, USUAL_RATE), FINAL_EPOCHS).training
        assert settings is not None
        device = inputs.settings.device
        tails[count] = TailCost(
            step=estimate_step(inputs.weights, count, settings, book, device=device),
            has_prefix=count > 0,
            prefix_share=tail_work(inputs.weights, count).prefix_share,
            open_s=open_s(state),
            convert_s=book.seconds("convert"),
            extract_s=state.extract_s,
        )
    return TrainingCosts(tails=tails, correction=state.predictions.factor("training"))


def allowed_variants(state: State) -> list[Variant]:
    """All trainings worth a trial; only those with the user's learning rate, if one is set."""
    rate = state.inputs.training.lr
    variants = possible_variants(len(state.stages), rate or USUAL_RATE)
    return [variant for variant in variants if rate is None or variant.lr == rate]


def usual_variants(state: State) -> list[Variant]:
    """The allowed variants with the learning rate that is tried first."""
    variants = allowed_variants(state)
    return [variant for variant in variants if variant.lr == variants[0].lr]


def deeper_allowed(state: State) -> list[Variant]:
    """Trainings of fewer stages, for a time that is too short for the usual ones."""
    if state.inputs.training.epochs is not None:
        return []  # the user asked for a whole training
    return deeper_variants(len(state.stages), state.inputs.training.lr or USUAL_RATE)


def variant_plan(state: State, variant: Variant, epochs: int, *, is_trial: bool = False) -> Plan:
    """The complete plan of a variant; the user's number of epochs is that of the final training."""
    inputs = state.inputs
    settings = replace(
        inputs.settings,
        strategy="last-blocks" if variant.count else "full",
        cut=str(variant.count) if variant.count else None,
        head=None,
    )
    wanted = None if is_trial else inputs.training.epochs
    training = replace(inputs.training, epochs=wanted or epochs, lr=variant.lr)
    return make_plan(settings, training, inputs.circumstances, WithoutNotes(state.reporter))
