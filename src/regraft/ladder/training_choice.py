"""Which training a climb tries, from predicted times; measuring them takes a tenth of the time left."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from regraft.ladder.arms import (
    FINAL_EPOCHS,
    Arm,
    Tournament,
    choose_tournament,
    deeper_arms,
    possible_arms,
    shorter,
)
from regraft.ladder.standing import Standing
from regraft.plans.costs import Cost, training_cost
from regraft.plans.planning import make_plan
from regraft.plans.step_costs import TailCost, estimate_step, step_name, tail_work
from regraft.progress import Quiet
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
    """The cost of training after each cut, as far as a climb considers it."""

    tails: dict[int, TailCost]
    """By the number of stages before the cut."""
    correction: float = 1.0
    """What predictions of this climb are multiplied by, as earlier ones were wrong by this factor."""

    def cost(self, standing: Standing, arm: Arm, *, epochs: int, is_trial: bool = False) -> Cost:
        """The cost of an arm; the user's number of epochs replaces `epochs` except in trials."""
        count = epochs if is_trial else standing.terrain.training.epochs or epochs
        cost = training_cost(standing.amounts, self.tails[arm.count], epochs=count, is_trial=is_trial)
        return cost.model_copy(update={"seconds": cost.seconds * self.correction})

    def seconds(self, standing: Standing, arm: Arm, epochs: int, is_trial: bool) -> float:
        """The seconds of `cost`."""
        return self.cost(standing, arm, epochs=epochs, is_trial=is_trial).seconds


class Choice(Record):
    """What a climb decided about training, recorded so that the same command decides the same again."""

    costs: TrainingCosts
    arms: tuple[tuple[int, float], ...] = ()
    """Cut and learning rate of the arms to try; none if no training fits."""
    rounds: tuple[int, ...] = ()
    """Epochs of each round."""
    seconds: float = 0.0
    """Predicted seconds of all rounds."""

    @property
    def tournament(self) -> Tournament | None:
        """The arms and rounds; None if no training fits."""
        if not self.arms:
            return None
        return Tournament(tuple(Arm(*arm) for arm in self.arms), self.rounds, self.seconds)


def can_train(standing: Standing) -> bool:
    """Whether enough images are held out to tell whether training helped."""
    return standing.amounts.held >= LEAST_HELD


def choose_training(standing: Standing) -> Choice:
    """The training that fits into the time left, by predictions; one step of the best candidate is timed."""
    known = standing.ledger.recall("training", "choice")
    if known is not None:
        if standing.ledger.recall(_TIMING, "took_s") is not None:
            standing.clocked(_TIMING, lambda: None)  # it counts as spent, as it did before
        return Choice.model_validate(known)
    costs = estimate_costs(standing)
    choice = _chosen(standing, costs)
    if _is_worth_timing(standing, choice):
        best = choice.tournament.arms[0] if choice.tournament else cheapest(standing, costs)
        time_step(standing, best)
        choice = _chosen(standing, estimate_costs(standing))
    standing.ledger.note("training", choice=choice.model_dump(mode="json"))
    return choice


def preview_training(standing: Standing) -> Choice:
    """The training that would fit into the time left, by predictions alone; nothing is timed or recorded."""
    return _chosen(standing, estimate_costs(standing))


def _chosen(standing: Standing, costs: TrainingCosts) -> Choice:
    def seconds(arm: Arm, epochs: int, is_trial: bool) -> float:
        return costs.seconds(standing, arm, epochs, is_trial)

    arms = allowed_arms(standing)
    left = _SAFE_SHARE * standing.time_left_s
    found = choose_tournament(
        arms, seconds, left, deeper=deeper_allowed(standing), stages=len(standing.stages)
    )
    if found is None:
        return Choice(costs=costs)
    listed = tuple((arm.count, arm.lr) for arm in found.arms)
    return Choice(costs=costs, arms=listed, rounds=found.rounds, seconds=found.seconds)


def cheapest(standing: Standing, costs: TrainingCosts) -> Arm:
    """The arm that takes the least time."""
    arms = shorter(allowed_arms(standing), deeper_allowed(standing))
    return min(arms, key=lambda arm: costs.seconds(standing, arm, FINAL_EPOCHS // 2, False))


def _is_worth_timing(standing: Standing, choice: Choice) -> bool:
    """Whether to time a step: its rate is unknown, or old, or decides against a training that is near."""
    left = standing.time_left_s
    if left <= 0 or not can_train(standing):
        return False
    settings = arm_plan(standing, Arm(0, USUAL_RATE), FINAL_EPOCHS).training
    assert settings is not None
    name = step_name(standing.terrain.weights, settings, standing.terrain.settings.device)
    if choice.arms:
        return standing.book.age_s(name) > _FRESH_S
    arm = cheapest(standing, choice.costs)
    return choice.costs.seconds(standing, arm, FINAL_EPOCHS // 2, False) <= _FAR * left


def time_step(standing: Standing, arm: Arm) -> None:
    """Time one warm training step of an arm, and keep how it compares with the prediction."""
    terrain, book = standing.terrain, standing.book
    settings = arm_plan(standing, arm, FINAL_EPOCHS).training
    assert settings is not None
    limit_s = max(0.0, _MEASURING_SHARE * standing.time_left_s - open_s(standing))

    def measure() -> None:
        with standing.reporter.phase("timing a training step", 1, "steps") as meter:
            measure_step(
                terrain.weights, arm.count, settings, book, classes=standing.amounts.classes,
                device=terrain.settings.device, limit_s=limit_s,
            )  # fmt: skip
            meter.advance()

    standing.clocked(_TIMING, measure)


def open_s(standing: Standing) -> float:
    """Seconds to load a network for training, with torch where it is not loaded yet."""
    book = standing.book
    return book.seconds("open") + (0.0 if "torch" in sys.modules else book.seconds("import"))


def estimate_costs(standing: Standing) -> TrainingCosts:
    """The predicted costs of all arms, without taking a step."""
    terrain, book = standing.terrain, standing.book
    if "matrix" not in book or book.age_s("matrix") > _FRESH_S:
        measure_matrix(book)
    counts = {arm.count for arm in (*allowed_arms(standing), *deeper_allowed(standing))}
    tails = {}
    for count in sorted(counts):
        settings = arm_plan(standing, Arm(count, USUAL_RATE), FINAL_EPOCHS).training
        assert settings is not None
        device = terrain.settings.device
        tails[count] = TailCost(
            step=estimate_step(terrain.weights, count, settings, book, device=device),
            has_prefix=count > 0,
            prefix_share=tail_work(terrain.weights, count).prefix_share,
            open_s=open_s(standing),
            convert_s=book.seconds("convert"),
            extract_s=standing.extract_s,
        )
    return TrainingCosts(tails=tails, correction=standing.predictions.factor("training"))


def allowed_arms(standing: Standing) -> list[Arm]:
    """All trainings worth a trial; only those with the user's learning rate, if one is set."""
    rate = standing.terrain.training.lr
    arms = possible_arms(len(standing.stages), rate or USUAL_RATE)
    return [arm for arm in arms if rate is None or arm.lr == rate]


def usual_arms(standing: Standing) -> list[Arm]:
    """The allowed arms with the learning rate that is tried first."""
    arms = allowed_arms(standing)
    return [arm for arm in arms if arm.lr == arms[0].lr]


def deeper_allowed(standing: Standing) -> list[Arm]:
    """Trainings of fewer stages, for a time that is too short for the usual ones."""
    if standing.terrain.training.epochs is not None:
        return []  # the user asked for a whole training
    return deeper_arms(len(standing.stages), standing.terrain.training.lr or USUAL_RATE)


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
