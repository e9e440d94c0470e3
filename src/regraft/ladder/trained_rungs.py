"""The rungs that train: short trials choose the cut and learning rate of one full training."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from regraft.ladder.arms import (
    FINAL_EPOCHS,
    LEAST_EPOCHS,
    TRAINED_POINTS,
    Arm,
    Tournament,
    gain_share,
    next_size,
    survivors,
)
from regraft.ladder.rungs import SOLVED_SCALE, TRAINED_SCALE, Contender, Untried, soft_vote
from regraft.ladder.solved_rungs import best_of
from regraft.ladder.standing import Standing
from regraft.ladder.training_choice import (
    TrainingCosts,
    arm_plan,
    can_train,
    cheapest,
    choose_training,
    usual_arms,
)
from regraft.plans.costs import logistic_cost
from regraft.plans.plan import Plan
from regraft.prediction.voter import Voter
from regraft.progress import Quiet

KEEP_TRAINED_AT = 0.75
"""The least probability of a gain for keeping a trained tail; lower, as its time is already spent."""

if TYPE_CHECKING:  # it imports torch, which earlier rungs do not need
    from regraft.training.evaluation import Tuned
    from regraft.training.tuned import TunedJob


def climb_trained(standing: Standing) -> None:
    """Train the winner of short trials, if there are enough validation images and time."""
    if not can_train(standing):
        held = standing.amounts.held
        why = f"{held} held-out images can't tell whether it helps; --strategy last-blocks trains anyway"
        standing.skip("train the last stages", None, why)
        return
    choice = choose_training(standing)
    tournament, costs = choice.tournament, choice.costs
    if tournament is None:
        arm = cheapest(standing, costs)
        standing.skip(arm.named(standing.stages), costs.seconds(standing, arm, FINAL_EPOCHS // 2, False))
        _leave_for_later(standing, costs, 1.0)
        return
    arm = _play(standing, tournament, costs)
    epochs = _final_epochs(standing, arm, tournament.rounds[-1], costs)
    name = arm.named(standing.stages)
    if epochs != FINAL_EPOCHS and standing.terrain.training.epochs is None:
        name += f", {epochs} epochs"
    predicted = standing.predicted(name, costs.seconds(standing, arm, epochs, False))
    found: list[Contender] = []
    tuned: list[Tuned] = []
    jobs: list[TunedJob] = []

    def train() -> None:
        job = _limited(standing, name, arm_plan(standing, arm, epochs), costs.tails[arm.count].convert_s)
        tuned.append(job.fit(standing.reporter))
        plan = _as_trained(standing, name, job.plan, tuned[0])
        jobs.append(replace(job, plan=plan, limit_s=None))
        found.append(_contender(standing, name, plan, tuned[0]))

    took = standing.clocked(name, train, kind="training", predicted_s=predicted)
    standing.challenge(
        found[0], predicted_s=predicted, took_s=took, needed=KEEP_TRAINED_AT, scale=TRAINED_SCALE
    )
    _leave_for_later(standing, costs, 1.0 - gain_share(arm, epochs, len(standing.stages)))
    if not tuned[0].has_improved:  # what would follow is solved on the frozen network, from fewer images
        return
    _refit(standing, found, jobs[0], tuned[0])
    if standing.terrain.settings.votes:
        _vote(standing, best_of(standing, found), best_of(standing, standing.solved))


def _leave_for_later(standing: Standing, costs: TrainingCosts, share: float) -> None:
    """Keep what the usual training would take, if a share of its gain is missing."""
    arm = usual_arms(standing)[-1]
    seconds = costs.seconds(standing, arm, FINAL_EPOCHS, False)
    if share > 0:
        name = f"{arm.named(standing.stages)}, {FINAL_EPOCHS} epochs"
        standing.untried.append(Untried(name, seconds, TRAINED_POINTS * share))


def _vote(standing: Standing, own: Contender, also: Contender) -> None:
    """A vote of the trained network and a solved head, which doubles the time of a prediction."""
    name = f"{own.name} + {also.name}"
    predicted = standing.predicted(name, standing.test_s())
    if predicted > standing.time_left_s:
        standing.skip(name, predicted, _NO_TIME_FOR_TWO.format(predicted=predicted))
        return
    vote = soft_vote(name, own, also)
    standing.challenge(vote, predicted_s=None, took_s=0.0, needed=KEEP_TRAINED_AT, scale=TRAINED_SCALE)


_NO_TIME_FOR_TWO = (
    "the test images would go through two networks, which takes {predicted:.0f} s more than is left"
)


def _limited(standing: Standing, name: str, plan: Plan, convert_s: float) -> TunedJob:
    """The job of a training that ends with the budget, or where the ledger says that it ended."""
    ended = standing.ledger.recall(name, "stop_after")
    if ended and plan.training is not None:
        plan = plan.model_copy(update={"training": replace(plan.training, stop_after=ended)})
    evaluated = convert_s + standing.amounts.held * standing.extract_s
    limit_s = standing.remembered(name, "limit_s", max(0.0, standing.time_left_s - evaluated))
    return replace(_tuned_job(standing, plan), limit_s=limit_s)


def _as_trained(standing: Standing, name: str, plan: Plan, tuned: Tuned) -> Plan:
    """The plan that trains as long as this training did, which the ledger keeps."""
    if not tuned.cut_short or plan.training is None:
        return plan
    standing.ledger.note(name, stop_after=tuned.cut_short)
    return plan.model_copy(update={"training": replace(plan.training, stop_after=tuned.cut_short)})


def _final_epochs(standing: Standing, arm: Arm, wanted: int, costs: TrainingCosts) -> int:
    """The epochs that still fit after the trials; at least three, as fewer gain nothing."""
    if standing.terrain.training.epochs is not None:
        return wanted
    for epochs in range(wanted, LEAST_EPOCHS, -1):
        if costs.seconds(standing, arm, epochs, False) <= standing.time_left_s:
            return epochs
    return LEAST_EPOCHS


def _refit(standing: Standing, found: list[Contender], job: TunedJob, tuned: Tuned) -> None:
    """Add a contender: a solved head on several stages of the trained network."""
    from regraft.training.refit import refit, refit_plan

    plan = job.plan.model_copy(update={"refit": refit_plan(standing.stages, standing.terrain.job.task.link)})
    assert plan.refit is not None
    name = f"{found[0].name}, then {plan.refit.head} @ {plan.refit.stages[0]}…{plan.refit.stages[-1]}"
    layout = tuned.features.layout
    width = sum(column.stop - column.start for column in layout if column.stage in plan.refit.stages)
    # Features of the held-out images were computed when the training was evaluated.
    amounts = replace(standing.amounts, train=standing.amounts.train - standing.amounts.held)
    solving = logistic_cost(amounts, width, standing.book).seconds
    predicted = standing.predicted(name, amounts.train * standing.extract_s + solving, "refit")
    if len(plan.refit.stages) < 2 or predicted > standing.time_left_s:
        standing.skip(name, predicted)
        return

    def work() -> None:
        refitted = refit(replace(job, plan=plan), tuned, standing.reporter)
        found.append(_contender(standing, name, plan, refitted))

    took = standing.clocked(name, work, kind="refit", predicted_s=predicted)
    is_kept = standing.best is found[0]
    standing.challenge(
        found[1],
        predicted_s=predicted,
        took_s=took,
        needed=0.5 if is_kept else KEEP_TRAINED_AT,
        scale=SOLVED_SCALE if is_kept else TRAINED_SCALE,
    )


def _play(standing: Standing, tournament: Tournament, costs: TrainingCosts) -> Arm:
    """Eliminate arms by short trials until one is left (successive halving, Jamieson & Talwalkar 2016).

    If the trials take longer than predicted, they end while the best arm so far can still be trained.
    """
    from regraft.training.loop.objective import OBJECTIVES

    arms = list(tournament.arms)
    for epochs in tournament.rounds[:-1]:
        scores: list[tuple[Arm, float, float]] = []
        for arm in arms:
            final = costs.seconds(standing, arm, FINAL_EPOCHS // 2, False)
            trial = costs.seconds(standing, arm, epochs, True)
            if scores and final + trial > standing.time_left_s:
                break
            scores.append((arm, *_trial(standing, arm, epochs, trial)))
        arms = survivors(scores, next_size(len(arms)))
        measured = OBJECTIVES[standing.terrain.job.task.link].measured
        listed = ", ".join(f"{arm.named(standing.stages)}: {measured(mean).text}" for arm, mean, _ in scores)
        standing.reporter.decided(
            f"to continue with {', '.join(arm.named(standing.stages) for arm in arms)}",
            f"the {measured(0).title} on held-out images after {epochs} epochs was {listed}",
            "--strategy, --cut and --lr",
        )
    return arms[0]


def _tuned_job(standing: Standing, plan: Plan) -> TunedJob:
    from regraft.training.start.trained_head import EarlierHead
    from regraft.training.tuned import TunedJob

    terrain = standing.terrain
    earlier = EarlierHead(terrain.earlier.labels, terrain.earlier.head) if terrain.earlier else None
    return TunedJob(
        terrain.job,
        plan,
        terrain.weights,
        terrain.settings.device,
        terrain.limits,
        terrain.workers,
        earlier,
    )


def _trial(standing: Standing, arm: Arm, epochs: int, predicted: float) -> tuple[float, float]:
    """Mean goodness and loss on the held-out images after a short training."""
    scores: list[tuple[float, float]] = []
    name = f"trial of {arm.named(standing.stages)}, {epochs} epochs"

    def run() -> None:
        job = _limited(standing, name, arm_plan(standing, arm, epochs, is_trial=True), 0.0)
        best = job.trial(Quiet(standing.reporter))
        scores.append((best.goodness, best.loss) if best else (0.0, math.inf))

    standing.clocked(name, run, kind="training", predicted_s=standing.predicted(name, predicted))
    return scores[0]


def _contender(standing: Standing, name: str, plan: Plan, tuned: Tuned) -> Contender:
    judged = tuned.said.validation
    assert judged is not None
    voter = Voter(tuned.weights, tuned.head, tuned.features.layout)
    root = standing.terrain.job.images.root
    lineage = (f"{plan.strategy} on {root.rstrip('/').rsplit('/', 1)[-1]}",)
    return Contender(name, plan, (voter,), judged, history=tuned.history, lineage=lineage)
