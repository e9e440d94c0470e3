"""The rungs that train: short trials choose the cut and learning rate of one full training."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from regraft.ladder.rungs import SOLVED_SCALE, TRAINED_SCALE, Contender, Untried, soft_vote
from regraft.ladder.solved_rungs import best_of
from regraft.ladder.state import State
from regraft.ladder.training_choice import (
    TrainingCosts,
    can_train,
    cheapest,
    choose_training,
    usual_variants,
    variant_plan,
)
from regraft.ladder.variants import (
    FINAL_EPOCHS,
    LEAST_EPOCHS,
    TRAINED_POINTS,
    Tournament,
    Variant,
    gain_share,
    next_size,
    survivors,
)
from regraft.plans.costs import logistic_cost
from regraft.plans.plan import Plan
from regraft.prediction.voter import Voter
from regraft.progress import WithoutNotes
from regraft.records import columns_of, width_of

KEEP_TRAINED_AT = 0.75
"""The least probability of a gain for keeping a trained tail; lower, as its time is already spent."""

if TYPE_CHECKING:  # it imports torch, which earlier rungs do not need
    from regraft.training.evaluation import Tuned
    from regraft.training.tuned import TailTraining


def try_training(state: State) -> None:
    """Train the winner of short trials, if there are enough validation images and time."""
    if not can_train(state):
        held = state.amounts.held
        why = f"{held} held-out images can't tell whether it helps; --strategy last-blocks trains anyway"
        state.skip("train the last stages", None, why)
        return
    choice = choose_training(state)
    tournament, costs = choice.tournament, choice.costs
    if tournament is None:
        variant = cheapest(state, costs)
        state.skip(variant.named(state.stages), costs.seconds(state, variant, FINAL_EPOCHS // 2, False))
        _leave_for_later(state, costs, 1.0)
        return
    variant = _play(state, tournament, costs)
    epochs = _final_epochs(state, variant, tournament.rounds[-1], costs)
    name = variant.named(state.stages)
    if epochs != FINAL_EPOCHS and state.inputs.training.epochs is None:
        name += f", {epochs} epochs"
    predicted = state.predicted(name, costs.seconds(state, variant, epochs, False))
    with state.timed(name, kind="training", predicted_s=predicted) as timing:
        convert_s = costs.tails[variant.count].convert_s
        training = _limited(state, name, variant_plan(state, variant, epochs), convert_s)
        tuned = training.fit(state.reporter)
        plan = _as_trained(state, name, training.plan, tuned)
        trained = _contender(state, name, plan, tuned)
    state.challenge(
        trained, predicted_s=predicted, took_s=timing.took_s, needed=KEEP_TRAINED_AT, scale=TRAINED_SCALE
    )
    _leave_for_later(state, costs, 1.0 - gain_share(variant, epochs, len(state.stages)))
    if not tuned.has_improved:  # what would follow is solved on the frozen network, from fewer images
        return
    refitted = _refit(state, trained, replace(training, plan=plan, limit_s=None), tuned)
    if state.inputs.settings.votes:
        own = [trained] if refitted is None else [trained, refitted]
        _vote(state, best_of(state, own), best_of(state, state.solved))


def _leave_for_later(state: State, costs: TrainingCosts, share: float) -> None:
    """Keep what the usual training would take, if a share of its gain is missing."""
    variant = usual_variants(state)[-1]
    seconds = costs.seconds(state, variant, FINAL_EPOCHS, False)
    if share > 0:
        name = f"{variant.named(state.stages)}, {FINAL_EPOCHS} epochs"
        state.untried.append(Untried(name, seconds, TRAINED_POINTS * share))


def _vote(state: State, own: Contender, also: Contender) -> None:
    """A vote of the trained network and a solved head, which doubles the time of a prediction."""
    name = f"{own.name} + {also.name}"
    predicted = state.predicted(name, state.test_s())
    if predicted > state.time_left_s:
        state.skip(name, predicted, _NO_TIME_FOR_TWO.format(predicted=predicted))
        return
    vote = soft_vote(name, own, also)
    state.challenge(vote, predicted_s=None, took_s=0.0, needed=KEEP_TRAINED_AT, scale=TRAINED_SCALE)


_NO_TIME_FOR_TWO = (
    "the test images would go through two networks, which takes {predicted:.0f} s more than is left"
)


def _limited(state: State, name: str, plan: Plan, convert_s: float) -> TailTraining:
    """The training of a tail that ends with the budget, or where the ledger says that it ended."""
    ended = state.ledger.recall(name, "stop_after")
    if ended and plan.training is not None:
        plan = plan.model_copy(update={"training": replace(plan.training, stop_after=ended)})
        return _tail_training(state, plan)  # without a limit: a slower machine is not to end it earlier
    evaluated = convert_s + state.amounts.held * state.extract_s
    limit_s = state.remembered(name, "limit_s", max(0.0, state.time_left_s - evaluated))
    return replace(_tail_training(state, plan), limit_s=limit_s)


def _as_trained(state: State, name: str, plan: Plan, tuned: Tuned) -> Plan:
    """The plan that trains as long as this training did, which the ledger keeps."""
    if not tuned.cut_short or plan.training is None:
        return plan
    state.ledger.note(name, stop_after=tuned.cut_short)
    return plan.model_copy(update={"training": replace(plan.training, stop_after=tuned.cut_short)})


def _final_epochs(state: State, variant: Variant, wanted: int, costs: TrainingCosts) -> int:
    """The epochs that still fit after the trials; at least three, as fewer gain nothing."""
    if state.inputs.training.epochs is not None:
        return wanted
    for epochs in range(wanted, LEAST_EPOCHS, -1):
        if costs.seconds(state, variant, epochs, False) <= state.time_left_s:
            return epochs
    return LEAST_EPOCHS


def _refit(state: State, trained: Contender, training: TailTraining, tuned: Tuned) -> Contender | None:
    """Another contender: a solved head on several stages of the trained network; None if it isn't tried."""
    from regraft.training.refit import refit, refit_plan

    plan = training.plan.model_copy(
        update={"refit": refit_plan(state.stages, state.inputs.dataset.task.link)}
    )
    assert plan.refit is not None
    name = f"{trained.name}, then {plan.refit.head} @ {plan.refit.stages[0]}…{plan.refit.stages[-1]}"
    layout = tuned.features.layout
    width = width_of(columns_of(layout, plan.refit.stages))
    # Features of the held-out images were computed when the training was evaluated.
    amounts = replace(state.amounts, train=state.amounts.train - state.amounts.held)
    solving = logistic_cost(amounts, width, state.book).seconds
    predicted = state.predicted(name, amounts.train * state.extract_s + solving, "refit")
    if len(plan.refit.stages) < 2 or predicted > state.time_left_s:
        state.skip(name, predicted)
        return None
    with state.timed(name, kind="refit", predicted_s=predicted) as timing:
        contender = _contender(state, name, plan, refit(replace(training, plan=plan), tuned, state.reporter))
    is_kept = state.best is trained
    state.challenge(
        contender,
        predicted_s=predicted,
        took_s=timing.took_s,
        needed=0.5 if is_kept else KEEP_TRAINED_AT,
        scale=SOLVED_SCALE if is_kept else TRAINED_SCALE,
    )
    return contender


def _play(state: State, tournament: Tournament, costs: TrainingCosts) -> Variant:
    """Eliminate variants by short trials until one is left (successive halving, Jamieson & Talwalkar 2016).

    If the trials take longer than predicted, they end while the best variant so far can still be trained.
    """
    from regraft.training.start.setup import objective_of

    dataset = state.inputs.dataset
    measured = objective_of(dataset, dataset.rows("train"), state.inputs.training).measured
    variants = list(tournament.variants)
    for epochs in tournament.rounds[:-1]:
        scores: list[tuple[Variant, float, float]] = []
        for variant in variants:
            final = costs.seconds(state, variant, FINAL_EPOCHS // 2, False)
            trial = costs.seconds(state, variant, epochs, True)
            if scores and final + trial > state.time_left_s:
                break
            scores.append((variant, *_trial(state, variant, epochs, trial)))
        variants = survivors(scores, next_size(len(variants)))
        listed = ", ".join(
            f"{variant.named(state.stages)}: {measured(mean).text}" for variant, mean, _ in scores
        )
        state.reporter.decided(
            f"to continue with {', '.join(variant.named(state.stages) for variant in variants)}",
            f"the {measured(0).title} on held-out images after {epochs} epochs was {listed}",
            "--strategy, --cut and --lr",
        )
    return variants[0]


def _tail_training(state: State, plan: Plan) -> TailTraining:
    from regraft.training.start.trained_head import EarlierHead
    from regraft.training.tuned import TailTraining

    inputs = state.inputs
    earlier = EarlierHead(inputs.earlier.labels, inputs.earlier.head) if inputs.earlier else None
    return TailTraining(
        inputs.dataset,
        plan,
        inputs.weights,
        inputs.compute,
        earlier,
        group=inputs.group,
    )


def _trial(state: State, variant: Variant, epochs: int, predicted: float) -> tuple[float, float]:
    """Mean goodness and loss on the held-out images after a short training."""
    name = f"trial of {variant.named(state.stages)}, {epochs} epochs"
    with state.timed(name, kind="training", predicted_s=state.predicted(name, predicted)):
        training = _limited(state, name, variant_plan(state, variant, epochs, is_trial=True), 0.0)
        best = training.trial(WithoutNotes(state.reporter))
    return (best.goodness, best.loss) if best else (0.0, math.inf)


def _contender(state: State, name: str, plan: Plan, tuned: Tuned) -> Contender:
    outputs = tuned.unseen.validation
    assert outputs is not None
    voter = Voter(tuned.weights, tuned.head, tuned.features.layout)
    root = state.inputs.dataset.images.root
    lineage = (f"{plan.strategy} on {root.rstrip('/').rsplit('/', 1)[-1]}",)
    return Contender(name, plan, (voter,), outputs, history=tuned.history, lineage=lineage)
