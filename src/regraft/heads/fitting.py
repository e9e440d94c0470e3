"""Fitting heads on cached features; hyperparameters are chosen by cross-validation, never by test images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np

from regraft.data.splits import stratified
from regraft.errors import SettingsError
from regraft.heads.head2toe import fit_head2toe
from regraft.heads.kernel import fit_kernel
from regraft.heads.label_heads import fit_label_logistic
from regraft.heads.linear import fit_centroid, fit_linear_svm, fit_logistic
from regraft.heads.number_heads import fit_number_ridge
from regraft.heads.ridge import fit_ridge
from regraft.heads.rows import Candidate, FittedHead, TrainingRows, describe
from regraft.heads.solving.gauge import Gauge
from regraft.progress import Meter
from regraft.records import HeadKind, Link, width_of
from regraft.tasks.task import Measure, Task

_SMALL_WORK = 4e7  # images x columns x outputs; two threads took up to nine times as long as one below it

FITTERS: dict[tuple[HeadKind, Link], Callable[[TrainingRows, Candidate, Gauge], FittedHead]] = {
    ("ridge", "softmax"): fit_ridge,
    ("logistic", "softmax"): fit_logistic,
    ("linear-svm", "softmax"): fit_linear_svm,
    ("centroid", "softmax"): fit_centroid,
    ("head2toe", "softmax"): fit_head2toe,
    ("logistic", "sigmoid"): fit_label_logistic,
    ("ridge", "identity"): fit_number_ridge,
}
"""How a kind of head is fitted for a link, on one set of columns; `rbf-svm` is fitted on all sets at once."""


def heads_for(link: Link) -> tuple[HeadKind, ...]:
    """The kinds of head that can be fitted for a link, the usual one first.

    >>> heads_for("sigmoid"), heads_for("identity")
    (('logistic',), ('ridge',))
    """
    if link == "softmax":
        return ("logistic", "ridge", "linear-svm", "rbf-svm", "centroid", "head2toe")
    return tuple(kind for kind, own in FITTERS if own == link)


def check_head(kind: HeadKind, task: Task) -> None:
    """Refuse a kind of head that does not predict what a task needs.

    Raises:
        SettingsError: with the kinds that do.
    """
    accepted = heads_for(task.link)
    if kind not in accepted:
        raise SettingsError(
            f"--head {kind} can't be fitted to labels of --task {task.name}; accepted is "
            f"{' or '.join(accepted)}. Remove --head, or choose one of these"
        )


def fit_head(
    data: TrainingRows,
    kind: HeadKind,
    candidates: Sequence[Candidate],
    *,
    most: int | None = None,
    meter: Meter | None = None,
) -> FittedHead:
    """Fit the head of a kind on each candidate set of columns, and return the best one.

    Args:
        data: the training images.
        kind: the kind of head; see `Head`.
        candidates: sets of feature columns to choose from, by cross-validated accuracy (mean goodness);
            where that says nothing, the last is taken.
        most: how many images are used at most, a stratified sample; None for all.
        meter: counts hundredths of the work.

    Raises:
        SettingsError: such a head does not predict what the task needs.
    """
    check_head(kind, data.task)
    if most is not None and most < len(data.keys):
        return _fit_on_sample(data, kind, candidates, most, meter)
    candidates = candidates[-1:] if data.doubt else candidates
    with _threads_for(data, candidates):
        return _fitted(data, kind, candidates, meter)


def _fit_on_sample(
    data: TrainingRows, kind: HeadKind, candidates: Sequence[Candidate], most: int, meter: Meter | None
) -> FittedHead:
    """The same on a stratified sample, with the sample's rows numbered as in the data."""
    chosen = stratified(data.strata, most, seed=data.seed)
    fitted = fit_head(data.subset(chosen), kind, candidates, meter=meter)
    sample = chosen if fitted.sample is None else chosen[fitted.sample]
    return replace(fitted, sample=sample, fitted_on=len(chosen))


def import_libraries(kind: HeadKind) -> None:
    """Import what a kind of head needs, which takes longer than many solves."""
    if kind == "rbf-svm":
        import sklearn.svm  # noqa: F401


def _threads_for(data: TrainingRows, candidates: Sequence[Candidate]) -> AbstractContextManager[object]:
    """One thread for small problems: more of them mostly wait for each other, on a busy machine for long."""
    from threadpoolctl import threadpool_limits

    width = max(width_of(columns) for columns in candidates)
    work = len(data.keys) * min(width, len(data.keys)) * data.num_outputs
    return threadpool_limits(1) if work < _SMALL_WORK else nullcontext()


def _fitted(
    data: TrainingRows, kind: HeadKind, candidates: Sequence[Candidate], meter: Meter | None
) -> FittedHead:
    gauge = Gauge(meter, 1 if kind == "rbf-svm" else len(candidates))
    if kind == "rbf-svm":
        fitted_kernel = fit_kernel(data, candidates, gauge)
        gauge.end()
        return fitted_kernel
    fitted = []
    for candidate in candidates:
        fitted.append(FITTERS[kind, data.task.link](data, candidate, gauge))
        gauge.finish()
    sample = fitted[0].sample  # the same for every candidate: it depends on labels, groups and the seed
    known = data if sample is None else data.subset(sample)
    goodness = [data.task.goodness(one.out_of_fold, known.targets) for one in fitted]
    best = fitted[int(np.argmax([one.mean() for one in goodness]))]
    merits = [
        data.task.merit(one, targets=known.targets, groups=known.groups)
        for one in (goodness if len(candidates) > 1 else [])
    ]
    trials: tuple[tuple[str, Measure], ...] = tuple(
        (describe(columns), merit) for columns, merit in zip(candidates, merits, strict=False)
    )
    return replace(best, trials=trials)
