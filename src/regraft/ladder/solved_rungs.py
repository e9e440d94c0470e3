"""The rungs that take seconds: baselines, and heads that are solved on features of the frozen network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from regraft.advice.baselines import (
    Baseline,
    classic_baselines,
    trivial_merit,
    words_baseline,
)
from regraft.advice.profile import MAX_IMAGES, DepthProfile, depth_profile, read_by_probe
from regraft.heads.dataset import Outputs
from regraft.heads.fitting import fit_head, heads_for, import_libraries
from regraft.heads.many_rows import is_many
from regraft.heads.rows import Candidate, FittedHead, measure_of
from regraft.heads.solving.gauge import HUNDREDTHS
from regraft.ladder.costs.affordable import affordable
from regraft.ladder.costs.solve_cost import solve_cost
from regraft.ladder.costs.timed_sample import timed_sample
from regraft.ladder.rungs import KEEP_AT, VOTE_AT, Contender, soft_vote
from regraft.ladder.state import State
from regraft.machine.memory import usable_bytes
from regraft.plans.plan import SolvedPlan
from regraft.plans.planning import solved_plan
from regraft.prediction.voter import Voter
from regraft.progress import Silent
from regraft.records import HeadKind, Strategy, columns_of, width_of
from regraft.tasks.task import Measure
from regraft.training.solved import (
    out_of_fold_outputs,
    set_sizes,
    tell_doubt,
    tell_machine,
    tell_sample,
    unseen_outputs,
)

_TELLING_S = 0.5  # shorter times are mostly overhead and say nothing about more work
_COMPUTED_S = 5e-4  # per image: whatever is faster came from the cache
_AMPLE = 0.02  # share of the time left that a bag of visual words may take if nobody asked for it
_EASY = 0.02  # a baseline this close to the best model causes a warning
_MEMORY_SHARE = 0.5  # share of the free memory that one rung may use
_LEAST_SHARE = 0.1  # share of the budget that the first head may take, even if nothing is left
_INVERSE = 0.3  # units of the profile's work for each (images x images x images) of an inverse
_GRACE = (
    0.5  # share of the budget by which the probe may exceed it; of 136 classes, ridge knows six points less
)
_SHOWN_S = 3.0  # predicted seconds from which the progress of a solve is shown


def try_first(state: State) -> None:
    """The trivial model; ridge regression on the last stage, which is the first usable model; a probe.

    Ridge regression is the fastest head. The probe's logistic regression is a little more accurate on average
    and costs the same at prediction, so the probe takes its place unless ridge regression is better with the
    probability that the ladder demands of every rung (`benchmarks/first_rung.py`). Where cross-validation
    can't compare the two, the probe is the first model.
    """
    rows = state.training_rows
    tell_doubt(rows, state.reporter)
    tell_sample(rows, None, state.reporter)
    state.tell(
        0, rows.task.baseline_name, "guessing", merit=trivial_merit(rows), images=len(rows.keys), took_s=0
    )
    last = state.stages[-1:]
    kinds, is_compared = heads_for(rows.task.link), state.inputs.dataset.rows("validation") or not rows.doubt
    if "ridge" in kinds and (is_compared or "logistic" not in kinds):
        solve(state, f"ridge @ {last[0]}", "probe", "ridge", last)
    solve_probe(state)


def solve_probe(state: State, shown: str = "", *, needed: float = 1 - KEEP_AT) -> None:
    """Logistic regression on the last stage: kept unless what is kept already is clearly better.

    Nothing happens if the task has no logistic regression.

    Args:
        state: the state of the ladder.
        shown: part of the rung's name, if images are shown otherwise than in the first rungs.
        needed: the least probability of being more accurate at which it is kept.
    """
    if "logistic" not in heads_for(state.inputs.dataset.task.link):
        return
    last, grace_s = state.stages[-1:], _GRACE * state.inputs.budget_s
    name = f"probe @ {last[0]}{shown and f', {shown}'}"
    solve(state, name, "probe", "logistic", last, needed=needed, grace_s=grace_s)


def try_classics(state: State) -> None:
    """Image classification methods from before 2012, on as many images as a share of the time left allows."""
    inputs, reporter = state.inputs, state.reporter
    if inputs.dataset.task.link != "softmax":  # they predict classes
        return
    if measure_of(inputs.dataset.task) == "log-loss":  # and have no probabilities
        return

    def classics(most: int) -> Sequence[Baseline]:
        return classic_baselines(inputs.dataset, most=most, limits=inputs.compute.limits, reporter=reporter)

    def words(most: int) -> Sequence[Baseline]:
        return [words_baseline(inputs.dataset, most=most, limits=inputs.compute.limits, reporter=reporter)]

    wants_all = inputs.settings.baselines == "all"
    _measure_baselines(state, "classics", classics, (1_000, 400, 150), 0.1)
    _measure_baselines(state, "words", words, (200,), 1.0 if wants_all else _AMPLE)
    _warn_if_easy(state)


def _warn_if_easy(state: State) -> None:
    """Warn if a method without any network is nearly as accurate as the best model."""
    task = state.inputs.dataset.task
    simple = [row for row in state.rows if row.rung == 0 and row.accuracy is not None]
    if measure_of(task) != "accuracy":  # guessing is then as bad for hard data as for easy data
        simple = [row for row in simple if row.name != task.baseline_name]
    if not simple:
        return
    best = max(simple, key=lambda row: row.accuracy.value if row.accuracy else 0.0)
    assert state.best is not None
    share = state.best.merit(state.inputs.dataset).value or 0.0
    if best.accuracy is not None and best.accuracy.value >= share - _EASY:
        what = "" if best.measure == "accuracy" else f"{Measure(best.measure, None).title} "
        state.reporter.warn(
            f"{best.name} reaches {what}{100 * best.accuracy.value:.1f} % without any network: the data is "
            "easy, or the background, size or colour of the images gives their labels away"
        )


def _measure_baselines(
    state: State,
    name: str,
    measure: Callable[[int], Sequence[Baseline]],
    sizes: Sequence[int],
    share: float,
) -> None:
    """Measure baselines on the largest sample size that takes at most a share of the time left."""
    count = len(state.training_rows.keys)
    each = state.book.seconds(name) * state.predictions.factor(name)
    allowed = share * state.time_left_s
    most = state.ledger.recall(name, "most")
    if most is None:
        most = next((size for size in sizes if min(size, count) * each <= allowed), 0)
        state.ledger.note(name, most=most)
    if not most:
        return
    predicted = state.predicted(name, min(most, count) * each)
    with state.timed(name, kind=name, predicted_s=predicted) as timing:
        found = measure(most)
    if timing.is_new and timing.took_s > _COMPUTED_S * min(most, count):
        amount = min(most, count)
        state.book.learn(name, timing.took_s / amount, timing.processor_s / amount)
    for number, one in enumerate(found):
        is_first = number == 0
        state.tell(
            0,
            one.name,
            "a baseline from before 2012",
            merit=Measure.of(one.measure, one.accuracy, one.images),
            images=one.images,
            predicted_s=predicted if is_first else None,
            took_s=timing.took_s if is_first else None,
        )


def try_several_stages(state: State, shown: str = "") -> None:
    """Heads on several stages: logistic regression, its vote with the probe, and SVMs.

    Args:
        state: the state of the ladder.
        shown: part of the rungs' names, if they were tried before with images that were shown otherwise.
    """
    sets, kinds = _sets(state), heads_for(state.inputs.dataset.task.link)
    linear = kinds[0]
    if sets:
        solve(state, _span(linear, sets[0], shown), "many-stages", linear, sets[0])
        _vote(state)
    if "rbf-svm" not in kinds:
        for several in sets[1:]:
            solve(state, _span(linear, several, shown), "many-stages", linear, several)
        return
    tell_machine(state.training_rows.num_outputs, "rbf-svm", state.reporter)
    for several in sets:
        solve(state, _span("SVM", several, shown), "many-stages", "rbf-svm", several)


def _sets(state: State) -> list[list[str]]:
    """The sets of several stages that heads are solved on: a third of all stages, two thirds."""
    stages = state.stages
    return [stages[-size:] for size in set_sizes(len(stages)) if 1 < size < len(stages)]


def several_s(state: State) -> float:
    """Predicted seconds of the heads on several stages."""
    total, layout = 0.0, state.inputs.dataset.features.layout
    for number, several in enumerate(_sets(state)):
        width = width_of(columns_of(layout, several))
        kinds = heads_for(state.inputs.dataset.task.link)
        others: tuple[HeadKind, ...] = ("rbf-svm",) if "rbf-svm" in kinds else kinds[:1] * (number > 0)
        for kind in (kinds[0], *others) if number == 0 else others:
            total += solve_cost(kind, state.amounts, width, state.book).cost.seconds
    return total


def try_best_depth(state: State) -> None:
    """The depth profile, and an SVM on the stage where it peaks; both are for classes."""
    if state.inputs.dataset.task.link != "softmax":
        return
    predicted = state.predicted("depth profile", profile_s(state), "profile")
    if predicted > state.time_left_s:
        state.skip("SVM at the best depth", predicted)
        return
    peak = measure_profile(state).peak.stage
    solve(state, f"SVM @ {peak}", "svm", "rbf-svm", [peak])


def measure_profile(state: State) -> DepthProfile:
    """The accuracy of heads at every depth; measured once."""
    if state.profile is not None:
        return state.profile
    layout = state.inputs.dataset.features.layout
    predicted = state.predicted("depth profile", profile_s(state), "profile")
    with state.timed("depth profile", kind="profile", predicted_s=predicted) as timing:
        state.profile = depth_profile(state.training_rows, layout, reporter=state.reporter)
    if timing.is_new and timing.took_s >= _TELLING_S:
        work = _profile_work(state)
        state.book.learn("profile", timing.took_s / work, timing.processor_s / work)
    return state.profile


def profile_s(state: State) -> float:
    """Predicted seconds of the depth profile."""
    return _profile_work(state) * state.book.seconds("profile")


def _profile_work(state: State) -> float:
    """Units of work of the depth profile: a kernel matrix and its inverse at every stage."""
    rows = float(min(state.amounts.train, MAX_IMAGES))
    width = width_of(state.inputs.dataset.features.layout)
    return rows**2 * (width + _INVERSE * len(state.stages) * rows)


def solve(
    state: State,
    name: str,
    strategy: Strategy,
    kind: HeadKind,
    stages: Sequence[str],
    *,
    needed: float = KEEP_AT,
    grace_s: float = 0.0,
) -> None:
    """Fit a solved head on some stages, and compare it with the contender that is kept.

    Args:
        state: the state of the ladder.
        name: name of the rung.
        strategy: the strategy of the contender's plan.
        kind: the kind of head.
        stages: the stages that the head reads.
        needed: the least probability of being more accurate at which the head is kept.
        grace_s: seconds that may be taken beyond the budget.
    """
    chosen = columns_of(state.inputs.dataset.features.layout, stages)
    columns = read_by_probe(chosen) if strategy == "probe" else chosen
    width = width_of(columns)
    times, usual = _times(state, name, kind, columns)
    most, remark = (None, "") if state.best is not None else _most_images(state, name, kind, width, times)
    amounts = state.amounts if most is None else replace(state.amounts, train=most)
    effort = solve_cost(kind, amounts, width, state.book)
    predicted = state.remembered(name, "predicted_s", times * effort.cost.seconds)
    memory = effort.cost.memory_bytes
    if state.best is not None and predicted > state.time_left_s + grace_s:
        state.skip(name, predicted)
        return
    if state.best is not None and memory > _MEMORY_SHARE * usable_bytes():
        why = f"it needs {memory / 1e9:.1f} GB of memory, and {usable_bytes() / 1e9:.1f} are free"
        state.skip(name, predicted, why)
        return
    import_libraries(kind)  # not a part of the solve, by whose time the next ones are predicted
    reporter = state.reporter if predicted >= _SHOWN_S else Silent()
    with (
        state.timed(name, kind=effort.unit, predicted_s=usual * predicted) as timing,
        reporter.phase(f"solving {name}", HUNDREDTHS, "%") as meter,
    ):
        fitted = fit_head(state.training_rows, kind, [columns], most=most, meter=meter)
    if timing.is_new and timing.took_s >= _TELLING_S:
        seconds = max(timing.took_s - 0.1, 0.01)
        state.book.learn(effort.unit, seconds / effort.work, timing.processor_s / effort.work)
    contender = replace(solved_contender(state, name, strategy, stages, columns, fitted), remark=remark)
    state.solved.append(contender)
    state.challenge(contender, predicted_s=predicted, took_s=timing.took_s, needed=needed)


def _times(state: State, name: str, kind: HeadKind, columns: Candidate) -> tuple[float, float]:
    """By what the book's prediction for a rung is multiplied, and by what that is for its ratio to be noted.

    Usually it is what earlier rungs of its kind took longer, which the ladder's record of ratios divides by
    again. A long solve of many images is predicted by a short one on a sample; the ledger keeps its ratio.
    """
    unit = solve_cost(kind, state.amounts, width_of(columns), state.book).unit
    factor, known = state.predictions.factor(unit), state.ledger.recall(name, "sample_times")
    if known is None and state.ledger.recall(name, "predicted_s") is None:
        found = timed_sample(
            state.training_rows,
            kind,
            columns,
            state.amounts,
            state.book,
            seconds=state.time_left_s,
            clock=state.clock,
        )
        if found is not None:
            known = round(found.times, 3)
            state.ledger.note(name, sample_images=found.images, sample_times=known)
            took = f"{found.images:,} images took {found.took_s:.1f} s"
            state.reporter.note(f"{name} is predicted from a sample of the training images: {took}")
    return (factor, 1.0) if known is None else (known, factor)


def _most_images(state: State, name: str, kind: HeadKind, width: int, times: float) -> tuple[int | None, str]:
    """On how many images the first head is fitted, None for all, and what the table says about it.

    There is to be a model whatever the budget, so where all images don't fit the time that is left or the
    memory, the first head is fitted on a stratified sample that does.
    """
    total, known = len(state.training_rows.keys), state.ledger.recall(name, "most_images")
    reason = state.ledger.recall(name, "reason") or ""
    if known is None:
        amounts = replace(state.amounts, train=total)
        found = affordable(
            kind,
            amounts,
            width,
            state.book,
            seconds=max(state.time_left_s, _LEAST_SHARE * state.inputs.budget_s),
            memory_bytes=_MEMORY_SHARE * usable_bytes(),
            times=times,
        )
        known, reason = found.images, found.reason
        if is_many(total):
            state.ledger.note(name, most_images=known, reason=reason)
    if known >= total:
        return None, ""
    remark = f"fitted on a sample of {known:,} of {total:,} training images"
    state.reporter.warn(f"{name} is {remark}: {reason}")
    return known, remark


def solved_contender(
    state: State,
    name: str,
    strategy: Strategy,
    stages: Sequence[str],
    columns: Candidate,
    fitted: FittedHead,
) -> Contender:
    """A solved head with its predictions for images that it was not fitted on, as a contender."""
    inputs = state.inputs
    part = SolvedPlan(
        head=fitted.head.record.kind,
        stages=tuple(stages),
        statistics=tuple(dict.fromkeys(column.statistic for column in columns)),
        most_images=fitted.fitted_on,
    )
    plan = solved_plan(inputs.settings, inputs.circumstances, strategy, part)
    outputs: Outputs | None = unseen_outputs(inputs.dataset, fitted).validation
    assert outputs is not None
    voter = Voter(inputs.weights, fitted.head, inputs.dataset.features.layout)
    folds = out_of_fold_outputs(inputs.dataset, fitted, "cross-validation")
    return Contender(name, plan, (voter,), outputs, folds)


def _vote(state: State) -> None:
    """A vote of the probe and the logistic regression on several stages, whose errors differ."""
    probes = [one for one in state.solved if one.plan.strategy == "probe"]
    several = [one for one in state.solved if one.plan.strategy == "many-stages"]
    if not state.inputs.settings.votes or not probes or not several:
        return
    vote = soft_vote(f"{probes[-1].name} + {several[0].name}", probes[-1], several[0])
    needed = VOTE_AT if state.keeps_present_input else KEEP_AT
    state.challenge(vote, predicted_s=None, took_s=0.0, needed=needed)


def best_of(state: State, several: Sequence[Contender]) -> Contender:
    """The best of some contenders; among equals the first, which is the cheapest."""
    return max(several, key=lambda one: float(one.goodness(state.inputs.dataset).mean()))


def _span(what: str, stages: Sequence[str], shown: str) -> str:
    return f"{what} @ {stages[0]}…{stages[-1]}{shown and f', {shown}'}"
