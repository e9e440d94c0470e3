"""The rungs that train: short trials choose the cut and learning rate of one full training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from regraft.ladder.arms import (
    FINAL_EPOCHS,
    LEAST_EPOCHS,
    Arm,
    Tournament,
    choose_tournament,
    next_size,
    possible_arms,
    survivors,
)
from regraft.ladder.quiet import Quiet
from regraft.ladder.rungs import SOLVED_SCALE, TRAINED_SCALE, Contender, soft_vote
from regraft.ladder.solved_rungs import best_of
from regraft.ladder.standing import Standing
from regraft.plans import Plan
from regraft.prediction.model import Voter
from regraft.training.costs import Cost, TailCost, logistic_cost, measure_step, training_cost
from regraft.training.planning import make_plan

LEAST_HELD = 60
"""Fewer held-out images can't tell whether training helped: each counts more than 1.5 points."""
KEEP_TRAINED_AT = 0.75
"""The least probability of a gain for keeping a trained tail; lower, as its time is already spent."""
_USUAL_RATE = 1e-3
_RESERVE = 0.05  # share of the budget for the test images at the end

if TYPE_CHECKING:  # it imports torch, which earlier rungs do not need
    from regraft.training.tuned import Tuned, TunedJob

TrainingCosts = Callable[..., Cost]
"""Returns the cost of an arm, given its number of `epochs` and whether it is a trial (`is_trial`)."""


def climb_trained(standing: Standing) -> None:
    """Train the winner of short trials, if there are enough validation images and time."""
    held = standing.amounts.held
    if held < LEAST_HELD:
        why = f"{held} held-out images can't tell whether it helps; --strategy last-blocks trains anyway"
        standing.skip("train the last stages", None, why)
        return
    arms = allowed_arms(standing)
    costs = measured_costs(standing, arms)

    def cost(arm: Arm, epochs: int, is_trial: bool) -> float:
        return costs(arm, epochs=epochs, is_trial=is_trial).seconds

    tournament = choose_tournament(arms, cost, standing.time_left_s - _RESERVE * standing.terrain.budget_s)
    if tournament is None:
        cheapest = min(arms, key=lambda arm: cost(arm, LEAST_EPOCHS, False))
        standing.skip(cheapest.named(standing.stages), cost(cheapest, LEAST_EPOCHS, False))
        return
    arm = _play(standing, tournament)
    name, epochs = arm.named(standing.stages), tournament.rounds[-1]
    predicted = standing.predicted(name, cost(arm, epochs, False))
    found: list[Contender] = []
    tuned: list[Tuned] = []
    job = _tuned_job(standing, arm_plan(standing, arm, epochs))

    def train() -> None:
        tuned.append(job.fit(standing.reporter))
        found.append(_contender(standing, name, job.plan, tuned[0]))

    took = standing.clocked(name, train)
    standing.challenge(
        found[0], predicted_s=predicted, took_s=took, needed=KEEP_TRAINED_AT, scale=TRAINED_SCALE
    )
    _refit(standing, found, job, tuned[0])
    if standing.terrain.settings.votes:
        own, also = best_of(standing, found), best_of(standing, standing.solved)
        vote = soft_vote(f"{own.name} + {also.name}", own, also)
        standing.challenge(vote, predicted_s=None, took_s=0.0, needed=0.5, scale=TRAINED_SCALE)


def _refit(standing: Standing, found: list[Contender], job: TunedJob, tuned: Tuned) -> None:
    """Add a contender: a solved head on several stages of the trained network."""
    from regraft.training.refit import refit, refit_plan

    plan = job.plan.model_copy(update={"refit": refit_plan(standing.stages)})
    assert plan.refit is not None
    name = f"{found[0].name}, then logistic @ {plan.refit.stages[0]}…{plan.refit.stages[-1]}"
    layout = tuned.features.layout
    width = sum(column.stop - column.start for column in layout if column.stage in plan.refit.stages)
    # Features of the held-out images were computed when the training was evaluated.
    amounts = replace(standing.amounts, train=standing.amounts.train - standing.amounts.held)
    solving = logistic_cost(amounts, width, standing.book).seconds
    seconds = amounts.train * standing.terrain.extract_s + solving
    predicted = standing.predicted(name, seconds)
    if len(plan.refit.stages) < 2 or predicted > standing.time_left_s:
        standing.skip(name, predicted)
        return

    def work() -> None:
        refitted = refit(replace(job, plan=plan), tuned, standing.reporter)
        found.append(_contender(standing, name, plan, refitted))

    took = standing.clocked(name, work)
    is_kept = standing.best is found[0]
    standing.challenge(
        found[1],
        predicted_s=predicted,
        took_s=took,
        needed=0.5 if is_kept else KEEP_TRAINED_AT,
        scale=SOLVED_SCALE if is_kept else TRAINED_SCALE,
    )


def allowed_arms(standing: Standing) -> list[Arm]:
    """All trainings worth a trial; only those with the user's learning rate, if one is set."""
    rate = standing.terrain.training.lr
    arms = possible_arms(len(standing.stages), rate or _USUAL_RATE)
    return [arm for arm in arms if rate is None or arm.lr == rate]


def usual_arms(standing: Standing) -> list[Arm]:
    """The allowed arms with the learning rate that is tried first."""
    arms = allowed_arms(standing)
    return [arm for arm in arms if arm.lr == arms[0].lr]


def measured_costs(standing: Standing, arms: list[Arm]) -> TrainingCosts:
    """The predicted costs of arms; a training step is timed once at each of their cuts."""
    tails: dict[int, TailCost] = {}

    def measure() -> None:
        counts = sorted({arm.count for arm in arms})
        with standing.reporter.phase("timing a training step", len(counts), "cuts") as meter:
            for count in counts:
                tails[count] = _tail_cost(standing, count)
                meter.advance()

    standing.clocked("timing steps", measure)
    asked = standing.terrain.training.epochs

    def cost(arm: Arm, *, epochs: int, is_trial: bool) -> Cost:
        count = epochs if is_trial else asked or epochs
        return training_cost(standing.amounts, tails[arm.count], epochs=count, is_trial=is_trial)

    return cost


def _tail_cost(standing: Standing, count: int) -> TailCost:
    """The cost of training after a cut; from the ledger, if an interrupted climb has measured it before."""
    known = standing.ledger.recall(f"cut {count}", "cost")
    if known is not None:
        return TailCost.model_validate(known)
    terrain, book = standing.terrain, standing.book
    settings = arm_plan(standing, Arm(count, _USUAL_RATE), FINAL_EPOCHS).training
    assert settings is not None
    classes, device = standing.amounts.classes, terrain.settings.device
    cost = TailCost(
        step=measure_step(terrain.weights, count, settings, book, classes=classes, device=device),
        has_prefix=count > 0,
        open_s=book.seconds("open"),
        convert_s=book.seconds("convert"),
        extract_s=terrain.extract_s,
    )
    standing.ledger.note(f"cut {count}", cost=cost.model_dump())
    return cost


def arm_plan(standing: Standing, arm: Arm, epochs: int, *, is_trial: bool = False) -> Plan:
    """The complete plan of an arm; if the user set the number of epochs, it is that of the final training."""
    terrain = standing.terrain
    settings = replace(
        terrain.settings,
        strategy="last-blocks" if arm.count else "full",
        cut=str(arm.count) if arm.count else None,
        head=None,
    )
    wanted = None if is_trial else terrain.training.epochs
    training = replace(terrain.training, epochs=wanted or epochs, lr=arm.lr)
    return make_plan(settings, training, terrain.around, Quiet(standing.reporter))


def _play(standing: Standing, tournament: Tournament) -> Arm:
    """Eliminate arms by short trials until one is left (successive halving, Jamieson & Talwalkar 2016)."""
    arms = list(tournament.arms)
    for epochs in tournament.rounds[:-1]:
        scores = [(arm, *_trial(standing, arm, epochs)) for arm in arms]
        arms = survivors(scores, next_size(len(arms)))
        listed = ", ".join(f"{arm.named(standing.stages)}: {100 * share:.1f} %" for arm, share, _ in scores)
        standing.reporter.decided(
            f"to continue with {', '.join(arm.named(standing.stages) for arm in arms)}",
            f"the accuracy on held-out images after {epochs} epochs was {listed}",
            "--strategy, --cut and --lr",
        )
    return arms[0]


def _tuned_job(standing: Standing, plan: Plan) -> TunedJob:
    from regraft.training.tail import EarlierHead
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


def _trial(standing: Standing, arm: Arm, epochs: int) -> tuple[float, float]:
    """Accuracy and loss on the held-out images after a short training."""
    scores: list[tuple[float, float]] = []

    def run() -> None:
        job = _tuned_job(standing, arm_plan(standing, arm, epochs, is_trial=True))
        best = job.trial(Quiet(standing.reporter))
        scores.append((best.accuracy, best.loss) if best else (0.0, math.inf))

    standing.clocked(f"trial of {arm.named(standing.stages)}, {epochs} epochs", run)
    return scores[0]


def _contender(standing: Standing, name: str, plan: Plan, tuned: Tuned) -> Contender:
    judged = tuned.said.validation
    assert judged is not None
    voter = Voter(tuned.weights, tuned.head, tuned.features.layout)
    root = standing.terrain.job.images.root
    lineage = (f"{plan.strategy} on {root.rstrip('/').rsplit('/', 1)[-1]}",)
    return Contender(name, plan, (voter,), judged, history=tuned.history, lineage=lineage)
