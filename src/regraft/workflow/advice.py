"""Advice: a plan from measurements that take seconds, from the textbook table, or for a named strategy."""

from __future__ import annotations

from typing import Literal

from regraft.advice.learning_curve import LearningCurve, learning_curve
from regraft.advice.profile import DepthProfile
from regraft.advice.similarity import IMAGES, Similarity, similarity
from regraft.advice.suspects import Suspect, conflicting, label_suspects
from regraft.advice.textbook import Cell, advised
from regraft.features.moments import source_statistics
from regraft.heads.dataset import Dataset
from regraft.heads.head import Head
from regraft.ladder.framings import try_framings
from regraft.ladder.rungs import gained
from regraft.ladder.solved_rungs import (
    best_of,
    measure_profile,
    try_best_depth,
    try_classics,
    try_first,
    try_several_stages,
)
from regraft.ladder.state import State
from regraft.ladder.training_choice import LEAST_HELD, choose_training, usual_variants, variant_plan
from regraft.ladder.variants import FINAL_EPOCHS
from regraft.networks.weights.finding import Weights
from regraft.plans.costs import Cost, logistic_work
from regraft.plans.plan import Plan
from regraft.progress import Reporter
from regraft.records import Record, width_of
from regraft.runs.records import LadderRecord
from regraft.storage.tables import printable
from regraft.tasks.task import Measure
from regraft.workflow.network import NetworkChoice
from regraft.workflow.preparation import Prepared
from regraft.workflow.rehearsal import Rehearsal

_QUICK_WORK = 2.3e6  # units of logistic regression: a few seconds


class Option(Record):
    """A training that could be done, with what it is predicted to take."""

    name: str
    cost: Cost
    fits: bool
    """Whether it fits into the budget."""


class Measured(Record):
    """What was measured to give advice; shares in [0, 1], 95 % intervals."""

    similarity: Similarity
    profile: DepthProfile | None
    """None for tasks other than classification."""
    ladder: LadderRecord
    """The strategies that were tried."""
    options: tuple[Option, ...]
    """The trainings whose cost was only predicted."""
    curve: LearningCurve | None
    """None for tasks other than classification."""
    table_says: str
    """What the textbook table advises for data of this size and similarity."""
    suspects: tuple[Suspect, ...]
    """Training images whose label is probably wrong."""


class Advice(Record):
    """What `regraft advise` recommends: a plan, and what it is based on."""

    rehearsal: Rehearsal
    """The images, their split and the network."""
    networks: NetworkChoice | None
    """The networks that were compared; None where the network was named."""
    plan: Plan
    speaker: Literal["measurement", "table", "user"]
    """Where the plan comes from: the measurements, the textbook table, or a strategy that the user named."""
    reason: str
    measured: Measured | None
    """None where the user named a strategy: then nothing is measured."""


def advise(
    prepared: Prepared,
    state: State,
    weights: Weights,
    reporter: Reporter,
    *,
    rehearsal: Rehearsal,
    networks: NetworkChoice | None = None,
) -> Advice:
    """Measure what takes seconds, predict the rest, and recommend a plan. Test images are not used.

    Args:
        prepared: the data set, with features of its training and validation images.
        state: where measuring starts; nothing is saved.
        weights: the weights of the network.
        reporter: reports progress.
        rehearsal: the beginning of a fit.
        networks: how the network was chosen, if it was not named.
    """
    near = measured_similarity(prepared, weights, reporter)
    state.start()
    try_first(state)
    try_framings(state, is_brief=True)
    classifies = prepared.dataset.task.link == "softmax"
    profile = measure_profile(state) if classifies else None
    try_several_stages(state)
    try_best_depth(state)
    try_classics(state)
    rows = state.training_rows
    curve = learning_curve(rows, _quick_head(state)) if classifies else None
    options, plans = _options(state)
    cell = advised(len(rows.keys), near.word)
    plan, speaker, reason = recommend(state, cell, options, plans)
    measured = Measured(
        similarity=near,
        profile=profile,
        ladder=state.record,
        options=tuple(options),
        curve=curve,
        table_says=f"{cell.advice} ({cell.size} and {'similar' if cell.is_similar else 'dissimilar'})",
        suspects=tuple(_suspects(prepared.dataset, state)) if classifies else (),
    )
    return Advice(
        rehearsal=rehearsal, networks=networks, plan=plan, speaker=speaker, reason=reason, measured=measured
    )


def named_advice(rehearsal: Rehearsal, networks: NetworkChoice | None) -> Advice:
    """The plan of a strategy that the user named; nothing is measured."""
    assert rehearsal.plan is not None
    reason = f"--strategy {rehearsal.strategy} was given"
    return Advice(
        rehearsal=rehearsal,
        networks=networks,
        plan=rehearsal.plan,
        speaker="user",
        reason=reason,
        measured=None,
    )


def measured_similarity(prepared: Prepared, weights: Weights, reporter: Reporter) -> Similarity:
    """How similar a sample of the training images is to the images that the network was trained on."""
    dataset = prepared.dataset
    sample = dataset.training_rows().sample(IMAGES)
    runtime = prepared.compute.open_moments(weights)
    images = dataset.images.of(set(sample.keys))
    features = prepared.compute.extract(images, runtime, weights.input_spec, reporter)
    keys = [key for key in dict.fromkeys(sample.keys) if key in features.rows]
    return similarity(features, keys, source_statistics(weights, runtime.norms), seed=dataset.seed)


def recommend(
    state: State,
    cell: Cell,
    options: list[Option],
    plans: dict[str, Plan],
) -> tuple[Plan, Literal["measurement", "table"], str]:
    """`(plan, where it comes from, why)`: the best that was measured, unless the table advises training.

    Solved heads are always compared by measuring. Whether training improves on them is not measured here:
    where the table advises training, enough images are held out to evaluate it, and the budget allows it,
    the recommendation follows the table.
    """
    best, held = state.best, state.amounts.held
    assert best is not None
    dataset = state.inputs.dataset
    merit = best.merit(dataset)
    fitting = [option for option in options if option.fits]
    if cell.strategy in ("last-blocks", "full") and held >= LEAST_HELD and fitting:
        chosen = fitting[0]
        reason = (
            f"{state.amounts.train:,} images are enough to train on, and the textbook table advises it; "
            f"this was not measured: `regraft fit` keeps it only if it beats {best.name} ({_scored(merit)})"
        )
        return plans[chosen.name], "table", reason
    reason = f"{best.name} is the most accurate of the strategies that were measured ({_scored(merit)})"
    first = state.solved[0]
    if best is not first:
        gain = float(best.goodness(dataset).mean() - first.goodness(dataset).mean())
        reason += f", {gained(merit, gain)} against {first.name}"
    if cell.strategy in ("last-blocks", "full"):
        reason += "; the textbook table advises training, but " + (
            f"{held} held-out images are too few to evaluate it"
            if held < LEAST_HELD
            else "the budget is too short"
        )
    elif cell.strategy != best.plan.strategy:
        reason += f"; the textbook table advises: {cell.advice}"
    return best.plan, "measurement", reason


def _scored(merit: Measure) -> str:
    return merit.text if merit.is_share else f"{merit.title} {merit.text}"


def _quick_head(state: State) -> Head:
    """The most accurate solved head that is quick enough to be fitted a dozen times over."""
    amounts = state.amounts
    heads = [one for one in state.solved if one.plan.head in ("ridge", "rbf-svm")]
    for one in state.solved:
        width = width_of(one.voters[0].head.record.columns)
        if one.plan.head == "logistic" and logistic_work(amounts, width) <= _QUICK_WORK:
            heads.append(one)
    return best_of(state, heads or state.solved[:1]).voters[0].head


def _options(state: State) -> tuple[list[Option], dict[str, Plan]]:
    """The trainings that the ladder would consider at the usual learning rate, the preferred cut first."""
    variants = usual_variants(state)
    costs = choose_training(state).costs
    options, plans = [], {}
    for variant in variants:
        cost = costs.cost(state, variant, epochs=FINAL_EPOCHS)
        name = variant.named(state.stages)
        options.append(Option(name=name, cost=cost, fits=cost.seconds <= state.time_left_s))
        plans[name] = variant_plan(state, variant, FINAL_EPOCHS)
    return options, plans


def _suspects(dataset: Dataset, state: State) -> list[Suspect]:
    """Suspicious labels of training images, and look-alikes with different labels outside the test side."""
    known = [row for row in dataset.split.rows if row.side != "test"]
    label_of = {row.path: row.label for row in known}
    found = conflicting(dataset.images.findings, label_of)
    judges = [one for one in state.solved if one.plan.head == "logistic"] or state.solved
    outputs = best_of(state, judges).out_of_fold
    assert outputs is not None
    paths = [printable(dataset.split.rows[row].path) for row in outputs.rows]
    return found + label_suspects(outputs.values, dataset.truth(outputs.rows), dataset.images.labels, paths)
