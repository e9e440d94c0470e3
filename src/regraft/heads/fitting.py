"""Fitting heads on cached features; hyperparameters are chosen by cross-validation, never by test images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from regraft.heads.head2toe import fit_head2toe
from regraft.heads.kernel import fit_kernel
from regraft.heads.linear import fit_centroid, fit_linear_svm, fit_logistic
from regraft.heads.ridge import fit_ridge
from regraft.heads.rows import Candidate, FittedHead, TrainingRows, accuracy, describe
from regraft.heads.solving.gauge import Gauge
from regraft.progress import Meter
from regraft.records import HeadKind

_SMALL_WORK = 4e7  # images x columns x classes; two threads took up to nine times as long as one below it


def fit_head(
    data: TrainingRows, kind: HeadKind, candidates: Sequence[Candidate], *, meter: Meter | None = None
) -> FittedHead:
    """Fit the head of a kind on each candidate set of columns, and return the most accurate one.

    Args:
        data: the training images.
        kind: the kind of head; see `Head`.
        candidates: sets of feature columns to choose from, by cross-validated accuracy; where that says
            nothing, the last is taken.
        meter: counts hundredths of the work.
    """
    candidates = candidates[-1:] if data.doubt else candidates
    with _threads_for(data, candidates):
        return _fitted(data, kind, candidates, meter)


def import_libraries(kind: HeadKind) -> None:
    """Import what a kind of head needs, which takes longer than many solves."""
    if kind == "rbf-svm":
        import sklearn.svm  # noqa: F401


def _threads_for(data: TrainingRows, candidates: Sequence[Candidate]) -> AbstractContextManager[object]:
    """One thread for small problems: more of them mostly wait for each other, on a busy machine for long."""
    from threadpoolctl import threadpool_limits

    width = max(sum(column.stop - column.start for column in columns) for columns in candidates)
    work = len(data.keys) * min(width, len(data.keys)) * data.num_classes
    return threadpool_limits(1) if work < _SMALL_WORK else nullcontext()


def _fitted(
    data: TrainingRows, kind: HeadKind, candidates: Sequence[Candidate], meter: Meter | None
) -> FittedHead:
    gauge = Gauge(meter, 1 if kind == "rbf-svm" else len(candidates))
    if kind == "rbf-svm":
        fitted_kernel = fit_kernel(data, candidates, gauge)
        gauge.end()
        return fitted_kernel
    fit: Callable[[TrainingRows, Candidate, Gauge], FittedHead] = {
        "ridge": fit_ridge,
        "logistic": fit_logistic,
        "linear-svm": fit_linear_svm,
        "centroid": fit_centroid,
        "head2toe": fit_head2toe,
    }[kind]
    fitted = []
    for candidate in candidates:
        fitted.append(fit(data, candidate, gauge))
        gauge.finish()
    accuracies = [accuracy(one.out_of_fold, data.labels) for one in fitted]
    best = fitted[int(np.argmax(accuracies))]
    trials = tuple((describe(c), share) for c, share in zip(candidates, accuracies, strict=True))
    return FittedHead(best.head, best.out_of_fold, best.folds, trials)
