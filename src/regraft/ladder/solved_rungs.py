"""The rungs that take seconds: baselines, and heads that are solved on features of the frozen network."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from regraft.advice.baselines import (
    Baseline,
    classic_baselines,
    trivial_merit,
    words_baseline,
)
from regraft.advice.profile import MAX_IMAGES, DepthProfile, depth_profile, read_by_probe
from regraft.heads.dataset import Predicted
from regraft.heads.fitting import fit_head, heads_for
from regraft.heads.gauge import HUNDREDTHS
from regraft.heads.rows import Candidate, FittedHead
from regraft.ladder.quiet import Quiet
from regraft.ladder.rungs import KEEP_AT, VOTE_AT, Contender, soft_vote
from regraft.ladder.solve_cost import solve_cost
from regraft.ladder.standing import Standing
from regraft.plans.costs import available_bytes
from regraft.plans.planning import make_plan
from regraft.prediction.model import Voter
from regraft.progress import Silent
from regraft.records import HeadKind, Statistic, Strategy
from regraft.settings import TrainSettings
from regraft.tasks.task import Measure
from regraft.training.solved import say_solved, set_sizes, tell_doubt, tell_machine

_TELLING_S = 0.5  # shorter times are mostly overhead and say nothing about more work
_COMPUTED_S = 5e-4  # per image: whatever is faster came from the cache
_AMPLE = 0.02  # share of the time left that a bag of visual words may take if nobody asked for it
_EASY = 0.02  # a baseline this close to the best model causes a warning
_MEMORY_SHARE = 0.5  # share of the free memory that one rung may use
_INVERSE = 0.3  # units of the profile's work for each (images x images x images) of an inverse
_GRACE = (
    0.5  # share of the budget by which the probe may exceed it; of 136 classes, ridge knows six points less
)
_SHOWN_S = 3.0  # predicted seconds from which the progress of a solve is shown


def climb_first(standing: Standing) -> None:
    """The trivial model; ridge regression on the last stage, which is the first usable model; a probe.

    Ridge regression is the fastest head. The probe's logistic regression is a little more accurate on average
    and costs the same at prediction, so the probe takes its place unless ridge regression is better with the
    probability that the ladder demands of every rung (`benchmarks/first_rung.py`). Where cross-validation
    can't compare the two, the probe is the first model.
    """
    rows = standing.training_rows
    tell_doubt(rows, standing.reporter)
    standing.tell(
        0, rows.task.baseline_name, "guessing", merit=trivial_merit(rows), images=len(rows.keys), took_s=0
    )
    last, grace_s = standing.stages[-1:], _GRACE * standing.terrain.budget_s
    kinds, is_compared = heads_for(rows.task.link), standing.terrain.job.rows("validation") or not rows.doubt
    if "ridge" in kinds and (is_compared or "logistic" not in kinds):
        solve(standing, f"ridge @ {last[0]}", "probe", "ridge", last)
    if "logistic" in kinds:
        solve(standing, f"probe @ {last[0]}", "probe", "logistic", last, needed=1 - KEEP_AT, grace_s=grace_s)


def climb_classics(standing: Standing) -> None:
    """Image classification methods from before 2012, on as many images as a share of the time left allows."""
    terrain, reporter = standing.terrain, standing.reporter
    if terrain.job.task.link != "softmax":  # they predict classes
        return

    def classics(most: int) -> Sequence[Baseline]:
        return classic_baselines(terrain.job, most=most, limits=terrain.limits, reporter=reporter)

    def words(most: int) -> Sequence[Baseline]:
        return [words_baseline(terrain.job, most=most, limits=terrain.limits, reporter=reporter)]

    wants_all = terrain.settings.baselines == "all"
    _measure_baselines(standing, "classics", classics, (1_000, 400, 150), 0.1)
    _measure_baselines(standing, "words", words, (200,), 1.0 if wants_all else _AMPLE)
    _warn_if_easy(standing)


def _warn_if_easy(standing: Standing) -> None:
    """Warn if a method without any network is nearly as accurate as the best model."""
    simple = [row for row in standing.rows if row.rung == 0 and row.accuracy is not None]
    best = max(simple, key=lambda row: row.accuracy.value if row.accuracy else 0.0)
    assert standing.best is not None
    share = standing.best.merit(standing.terrain.job).value or 0.0
    if best.accuracy is not None and best.accuracy.value >= share - _EASY:
        standing.reporter.warn(
            f"{best.name} reaches {100 * best.accuracy.value:.1f} % without any network: the data is easy, "
            "or the background, size or colour of the images gives their labels away"
        )


def _measure_baselines(
    standing: Standing,
    name: str,
    measure: Callable[[int], Sequence[Baseline]],
    sizes: Sequence[int],
    share: float,
) -> None:
    """Measure baselines on the largest sample size that takes at most a share of the time left."""
    count = len(standing.training_rows.keys)
    each = standing.book.seconds(name) * standing.predictions.factor(name)
    allowed = share * standing.time_left_s
    most = standing.ledger.recall(name, "most")
    if most is None:
        most = next((size for size in sizes if min(size, count) * each <= allowed), 0)
        standing.ledger.note(name, most=most)
    if not most:
        return
    predicted = standing.predicted(name, min(most, count) * each)
    found: list[Baseline] = []
    is_new, used = standing.ledger.recall(name, "took_s") is None, time.process_time()
    took = standing.clocked(name, lambda: found.extend(measure(most)), kind=name, predicted_s=predicted)
    if is_new and took > _COMPUTED_S * min(most, count):
        amount = min(most, count)
        standing.book.learn(name, took / amount, (time.process_time() - used) / amount)
    for number, one in enumerate(found):
        is_first = number == 0
        standing.tell(
            0,
            one.name,
            "a baseline from before 2012",
            merit=Measure.of("accuracy", one.accuracy, one.images),
            images=one.images,
            predicted_s=predicted if is_first else None,
            took_s=took if is_first else None,
        )


def climb_depths(standing: Standing) -> None:
    """Heads on several stages: logistic regression, its vote with the probe, and SVMs."""
    sets, kinds = _sets(standing), heads_for(standing.terrain.job.task.link)
    linear = kinds[0]
    if sets:
        solve(standing, _span(linear, sets[0]), "many-stages", linear, sets[0])
        _vote(standing)
    if "rbf-svm" not in kinds:
        for several in sets[1:]:
            solve(standing, _span(linear, several), "many-stages", linear, several)
        return
    tell_machine(standing.training_rows.num_outputs, "rbf-svm", standing.reporter)
    for several in sets:
        solve(standing, _span("SVM", several), "many-stages", "rbf-svm", several)


def _sets(standing: Standing) -> list[list[str]]:
    """The sets of several stages that heads are solved on: a third of all stages, two thirds."""
    stages = standing.stages
    return [stages[-size:] for size in set_sizes(len(stages)) if 1 < size < len(stages)]


def several_s(standing: Standing) -> float:
    """Predicted seconds of the heads on several stages."""
    total, layout = 0.0, standing.terrain.job.features.layout
    for number, several in enumerate(_sets(standing)):
        width = sum(column.stop - column.start for column in layout if column.stage in several)
        kinds = heads_for(standing.terrain.job.task.link)
        others: tuple[HeadKind, ...] = ("rbf-svm",) if "rbf-svm" in kinds else kinds[:1] * (number > 0)
        for kind in (kinds[0], *others) if number == 0 else others:
            total += solve_cost(kind, standing.amounts, width, standing.book).cost.seconds
    return total


def climb_peak(standing: Standing) -> None:
    """The depth profile, and an SVM on the stage where it peaks; both are for classes."""
    if standing.terrain.job.task.link != "softmax":
        return
    predicted = standing.predicted("depth profile", profile_s(standing), "profile")
    if predicted > standing.time_left_s:
        standing.skip("SVM at the best depth", predicted)
        return
    peak = measure_profile(standing).peak.stage
    solve(standing, f"SVM @ {peak}", "svm", "rbf-svm", [peak])


def measure_profile(standing: Standing) -> DepthProfile:
    """The accuracy of heads at every depth; measured once in a climb."""
    if standing.profile is not None:
        return standing.profile
    layout = standing.terrain.job.features.layout
    predicted = standing.predicted("depth profile", profile_s(standing), "profile")
    is_new, used = standing.ledger.recall("depth profile", "took_s") is None, time.process_time()
    found: list[DepthProfile] = []

    def measure() -> None:
        found.append(depth_profile(standing.training_rows, layout, reporter=standing.reporter))

    took = standing.clocked("depth profile", measure, kind="profile", predicted_s=predicted)
    if is_new and took >= _TELLING_S:
        work = _profile_work(standing)
        standing.book.learn("profile", took / work, (time.process_time() - used) / work)
    standing.profile = found[0]
    return standing.profile


def profile_s(standing: Standing) -> float:
    """Predicted seconds of the depth profile."""
    return _profile_work(standing) * standing.book.seconds("profile")


def _profile_work(standing: Standing) -> float:
    """Units of work of the depth profile: a kernel matrix and its inverse at every stage."""
    rows = float(min(standing.amounts.train, MAX_IMAGES))
    width = sum(column.stop - column.start for column in standing.terrain.job.features.layout)
    return rows**2 * (width + _INVERSE * len(standing.stages) * rows)


def solve(
    standing: Standing,
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
        standing: the state of the climb.
        name: name of the rung.
        strategy: the strategy of the contender's plan.
        kind: the kind of head.
        stages: the stages that the head reads.
        needed: the least probability of being more accurate at which the head is kept.
        grace_s: seconds that may be taken beyond the budget.
    """
    chosen = tuple(c for c in standing.terrain.job.features.layout if c.stage in stages)
    columns = read_by_probe(chosen) if strategy == "probe" else chosen
    width = sum(column.stop - column.start for column in columns)
    effort = solve_cost(kind, standing.amounts, width, standing.book)
    predicted = standing.predicted(name, effort.cost.seconds, effort.unit)
    memory = effort.cost.memory_bytes
    if standing.best is not None and predicted > standing.time_left_s + grace_s:
        standing.skip(name, predicted)
        return
    if standing.best is not None and memory > _MEMORY_SHARE * available_bytes():
        why = f"it needs {memory / 1e9:.1f} GB of memory, and {available_bytes() / 1e9:.1f} are free"
        standing.skip(name, predicted, why)
        return
    fitted: list[FittedHead] = []
    is_new = standing.ledger.recall(name, "took_s") is None

    def work() -> None:
        reporter = standing.reporter if predicted >= _SHOWN_S else Silent()
        with reporter.phase(f"solving {name}", HUNDREDTHS, "%") as meter:
            fitted.append(fit_head(standing.training_rows, kind, [columns], meter=meter))

    used = time.process_time()
    took = standing.clocked(name, work, kind=effort.unit, predicted_s=predicted)
    if is_new and took >= _TELLING_S:
        seconds, used_s = max(took - 0.1, 0.01), time.process_time() - used
        standing.book.learn(effort.unit, seconds / effort.work, used_s / effort.work)
    contender = _contender(standing, name, strategy, stages, columns, fitted[0])
    standing.solved.append(contender)
    standing.challenge(contender, predicted_s=predicted, took_s=took, needed=needed)


def _contender(
    standing: Standing,
    name: str,
    strategy: Strategy,
    stages: Sequence[str],
    columns: Candidate,
    fitted: FittedHead,
) -> Contender:
    terrain = standing.terrain
    statistics: tuple[Statistic, ...] = tuple(dict.fromkeys(column.statistic for column in columns))
    settings = replace(terrain.settings, strategy="probe", cut=None, head=None)
    plan = make_plan(settings, TrainSettings(), terrain.around, Quiet(standing.reporter)).model_copy(
        update={
            "strategy": strategy,
            "head": fitted.head.record.kind,
            "stages": tuple(stages),
            "statistics": statistics,
            "reads": "all",
        }
    )
    judged: Predicted | None = say_solved(terrain.job, fitted).validation
    assert judged is not None
    voter = Voter(terrain.weights, fitted.head, terrain.job.features.layout)
    folds = Predicted(tuple(terrain.job.rows("train")), fitted.out_of_fold, "cross-validation")
    return Contender(name, plan, (voter,), judged, folds)


def _vote(standing: Standing) -> None:
    """A vote of the probe and the logistic regression on several stages, whose errors differ."""
    probes = [one for one in standing.solved if one.plan.strategy == "probe"]
    several = [one for one in standing.solved if one.plan.strategy == "many-stages"]
    if not standing.terrain.settings.votes or not probes or not several:
        return
    vote = soft_vote(f"{probes[-1].name} + {several[0].name}", probes[-1], several[0])
    standing.challenge(vote, predicted_s=None, took_s=0.0, needed=VOTE_AT)


def best_of(standing: Standing, several: Sequence[Contender]) -> Contender:
    """The best of some contenders; among equals the first, which is the cheapest."""
    return max(several, key=lambda one: float(one.goodness(standing.terrain.job).mean()))


def _span(what: str, stages: Sequence[str]) -> str:
    return f"{what} @ {stages[0]}…{stages[-1]}"
