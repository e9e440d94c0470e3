"""Carrying out a plan whose head is solved, not trained: candidates, fit, evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from regraft.features.fitting import fit_head
from regraft.features.training_rows import Candidate, FittedHead, describe
from regraft.plans import Plan
from regraft.progress import Reporter
from regraft.records import Column
from regraft.job import Job, Judgement, Predicted


def fit_solved(job: Job, plan: Plan, *, has_cut: bool, reporter: Reporter) -> FittedHead:
    """The head of a plan, fitted on the training side.

    Args:
        job: the data set with its features.
        plan: whose head is solved.
        has_cut: whether the user chose the stages; else many-stages tries several sets.
        reporter: is told what was chosen.
    """
    candidates = _candidates(job, plan, has_cut=has_cut)
    with reporter.phase(f"solving the {plan.head} head", 1, "heads") as meter:
        fitted = fit_head(job.training_rows(), plan.head, candidates)
        meter.advance()
    if len(fitted.trials) > 1:
        listed = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in fitted.trials)
        what = "stages" if plan.strategy == "many-stages" else "stage"
        reason = f"cross-validated accuracy was {listed}"
        reporter.decided(f"{what} {describe(fitted.head.record.columns)}", reason, "--cut")
    return fitted


def _candidates(job: Job, plan: Plan, *, has_cut: bool) -> list[Candidate]:
    """What the head may read, smallest first, for cross-validation to choose from."""

    def columns(stages: Sequence[str]) -> tuple[Column, ...]:
        return tuple(c for c in job.features.layout if c.stage in stages and c.statistic in plan.statistics)

    if plan.strategy != "many-stages":
        return [columns((stage,)) for stage in plan.stages]
    if has_cut:
        return [columns(plan.stages)]
    total = len(plan.stages)
    sizes = sorted({1, math.ceil(total / 3), math.ceil(2 * total / 3), total})
    return [columns(plan.stages[-size:]) for size in sizes]


def judge_solved(job: Job, fitted: FittedHead) -> Judgement:
    """Scores on the test side, and on the validation side or by cross-validation."""
    held, test = job.rows("validation"), job.rows("test")
    if held:
        validation = job.predicted(fitted.head, held, "validation images of the official split")
    else:
        method = f"{fitted.folds}-fold cross-validation on the training images, which also chose the settings"
        validation = Predicted(tuple(job.rows("train")), fitted.out_of_fold, method)
    return job.judge(validation, job.predicted(fitted.head, test, "held-out test images") if test else None)
