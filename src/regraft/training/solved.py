"""Carry out a plan whose head is solved rather than trained: candidates, fit, evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from regraft.heads.dataset import Dataset, Outputs, Unseen
from regraft.heads.fitting import fit_head
from regraft.heads.kernel_machines import MOST_PAIRED_CLASSES, is_paired
from regraft.heads.many_rows import held_count, is_many
from regraft.heads.rows import Candidate, FittedHead, TrainingRows, describe
from regraft.heads.solving.gauge import HUNDREDTHS
from regraft.plans.plan import Plan
from regraft.progress import Reporter
from regraft.records import HeadKind, Statistic, columns_of
from regraft.tasks.task import Measure


def fit_solved(dataset: Dataset, plan: Plan, *, reporter: Reporter) -> FittedHead:
    """The head of a plan, fitted on the training images.

    Args:
        dataset: the data set with its features.
        plan: the plan whose head is solved.
        reporter: receives progress and what was chosen.
    """
    candidates, rows = _candidates(dataset, plan), dataset.training_rows()
    tell_doubt(rows, reporter)
    tell_machine(rows.num_outputs, plan.head, reporter)
    tell_sample(rows, plan.most_images, reporter)
    with reporter.phase(f"solving the {plan.head} head", HUNDREDTHS, "%") as meter:
        fitted = fit_head(rows, plan.head, candidates, most=plan.most_images, meter=meter)
    if len(fitted.trials) > 1:
        listed = ", ".join(f"{name} {_short(merit)}" for name, merit in fitted.trials)
        what = "stages" if plan.strategy == "many-stages" else "stage"
        reason = f"cross-validated {fitted.trials[0][1].title} was {listed}"
        reporter.decided(f"{what} {describe(fitted.head.record.columns)}", reason, "--cut")
    return fitted


def _short(merit: Measure) -> str:
    value = merit.value or 0.0
    return f"{value:.1%}" if merit.is_share else f"{value:.3g}"


def tell_doubt(rows: TrainingRows, reporter: Reporter) -> None:
    """Warn where cross-validation says so little that nothing is chosen by it."""
    if rows.doubt is not None:
        reporter.warn(
            f"{rows.doubt}: accuracy by cross-validation says little, and no setting is chosen by it"
        )


def tell_sample(rows: TrainingRows, most: int | None, reporter: Reporter) -> None:
    """Report on how many of many training images the settings of a head are chosen."""
    count = len(rows.keys)
    if most is not None and most < count:
        reporter.note(f"the head is fitted on a stratified sample of {most:,} of {count:,} training images")
        count = most
    if is_many(count):
        reporter.note(
            f"the strength of a head is chosen on about {held_count(count):,} of {count:,} training images, "
            "which are held out meanwhile; the head is then fitted on all of them"
        )


def tell_machine(num_classes: int, head: HeadKind, reporter: Reporter) -> None:
    """Report which kind of SVM this number of classes gets."""
    if head == "rbf-svm" and not is_paired(num_classes):
        pairs = num_classes * (num_classes - 1) // 2
        reporter.decided(
            "a least-squares SVM, each class against the rest,",
            f"{num_classes:,} classes form {pairs:,} pairs, and each pair would be a problem of its own "
            f"(limit: {MOST_PAIRED_CLASSES} classes)",
            "--head linear-svm or --head logistic",
        )


def fit_voters(dataset: Dataset, plan: Plan, *, reporter: Reporter) -> list[FittedHead]:
    """The additional solved heads whose probabilities are averaged with those of the plan's own head."""
    wanted = [_columns(dataset, voter.stages, voter.statistics) for voter in plan.vote]
    if not wanted:
        return []
    with reporter.phase("solving the other heads of the vote", len(wanted), "heads") as meter:
        fitted = []
        for voter, columns in zip(plan.vote, wanted, strict=True):
            rows = dataset.training_rows()
            fitted.append(fit_head(rows, voter.head, [columns], most=voter.most_images))
            meter.advance()
    return fitted


def _columns(dataset: Dataset, stages: Sequence[str], statistics: Sequence[Statistic]) -> Candidate:
    return columns_of(dataset.features.layout, stages, statistics)


def _candidates(dataset: Dataset, plan: Plan) -> list[Candidate]:
    """The sets of columns that cross-validation chooses from, the smallest first."""
    if plan.reads == "all":
        return [_columns(dataset, plan.stages, plan.statistics)]
    if plan.strategy != "many-stages":
        return [_columns(dataset, (stage,), plan.statistics) for stage in plan.stages]
    return [_columns(dataset, plan.stages[-size:], plan.statistics) for size in set_sizes(len(plan.stages))]


def set_sizes(total: int) -> list[int]:
    """Sizes of the sets of last stages that the strategy many-stages chooses from.

    >>> set_sizes(14)
    [1, 5, 10, 14]
    """
    return sorted({1, math.ceil(total / 3), math.ceil(2 * total / 3), total})


def unseen_outputs(dataset: Dataset, fitted: FittedHead) -> Unseen:
    """Predictions of a solved head: for test images, and for validation images or by cross-validation."""
    held, test = dataset.rows("validation"), dataset.rows("test")
    if held:
        validation = dataset.predicted(fitted.head, held, "validation images of the official split")
    else:
        use = "which says little here" if dataset.training_rows().doubt else "which also chose the settings"
        validation = out_of_fold_outputs(dataset, fitted, f"{_validated_by(dataset, fitted)}, {use}")
    return Unseen(validation, dataset.predicted(fitted.head, test, "held-out test images") if test else None)


def out_of_fold_outputs(dataset: Dataset, fitted: FittedHead, method: str) -> Outputs:
    """The outputs for training images of heads that were not fitted on them."""
    rows = dataset.rows("train")
    known = rows if fitted.sample is None else [rows[number] for number in fitted.sample.tolist()]
    return Outputs(tuple(known), fitted.out_of_fold, method)


def _validated_by(dataset: Dataset, fitted: FittedHead) -> str:
    """How a solved head was validated on training images, in words."""
    count = len(dataset.rows("train"))
    if fitted.folds == 1:
        of = f"{fitted.fitted_on or count:,} training images"
        return f"{len(fitted.out_of_fold):,} held-out images of {of}"
    on = f"{fitted.fitted_on:,} of {count:,} training images" if fitted.fitted_on else "the training images"
    return f"{fitted.folds}-fold cross-validation on {on}"
