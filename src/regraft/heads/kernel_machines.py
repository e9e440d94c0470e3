"""Support vector machines on a kernel matrix: one against one for some classes, least squares for many.

One against one (libsvm) solves a problem for each pair of classes, so its time and memory grow with the
square of their number. The least-squares SVM (Suykens & Vandewalle 1999) solves one linear system for all
classes together, each against the rest; its cost hardly depends on their number.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from regraft.heads.head import lag, vote
from regraft.heads.rows import Floats, TrainingRows
from regraft.parallel import awaited

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST_PAIRED_CLASSES = 100  # above it, pairs take most of the time and are not more accurate (docs/log.md)
_FINE = 1e-3  # libsvm's own tolerance


def is_paired(num_classes: int) -> bool:
    """Whether an SVM for this number of classes is solved one against one."""
    return num_classes <= MOST_PAIRED_CLASSES


def out_of_fold_scores(
    data: TrainingRows, kernel: Floats, strength: float, *, tolerance: float = _FINE
) -> Floats:
    """Scores `(N, K)` of each row by an SVM not fitted on its fold, from any kernel matrix `(N, N)`."""
    folds = int(data.folds.max()) + 1
    trained = np.stack([data.folds != fold for fold in range(folds)])
    return masked_scores(data, kernel, strength, trained, tolerance=tolerance)


def masked_scores(
    data: TrainingRows, kernel: Floats, strength: float, trained: Bools, *, tolerance: float = _FINE
) -> Floats:
    """Scores `(N, K)` of each fold's rows by an SVM fitted on the given rows of the other folds.

    Args:
        data: the training images.
        kernel: kernel matrix `(N, N)`.
        strength: C, the inverse of the regularisation strength.
        trained: the rows on which the SVM of each fold is fitted, `(folds, N)`.
        tolerance: tolerance of libsvm's stopping rule.
    """
    import sklearn.svm  # noqa: F401  (imported once, before the threads need it)

    paired = is_paired(data.num_outputs)
    fit = partial(_paired_scores, tolerance=tolerance) if paired else _least_squares_scores
    held = [np.flatnonzero(data.folds == fold) for fold in range(len(trained))]
    jobs: list[Callable[[], Floats]] = [
        partial(fit, kernel, data, np.flatnonzero(rows), own, strength)
        for rows, own in zip(trained, held, strict=True)
    ]
    scores = np.zeros((len(kernel), data.num_outputs))
    with few_images_are_fine():
        for own, found in zip(held, awaited(jobs), strict=True):  # both libraries release Python's lock
            scores[own] = found
    return lag(scores) if paired else scores


def _paired_scores(
    kernel: Floats, data: TrainingRows, kept: Ints, held: Ints, strength: float, *, tolerance: float
) -> Floats:
    """Votes `(held, K)`; a class without a row to train on is behind all others."""
    votes = np.zeros((len(held), data.num_outputs))
    present = np.unique(data.targets[kept])
    absent = np.setdiff1d(np.arange(data.num_outputs), present)
    if len(present) < 2:
        votes[:, absent] = -1.0
        return votes
    machine = support_vectors(kernel[np.ix_(kept, kept)], data.targets[kept], strength, tolerance)
    votes[:, present] = decided = machine.decide(kernel[np.ix_(held, kept)])
    votes[:, absent] = decided.min(axis=1, keepdims=True) - 1
    return votes


def _least_squares_scores(
    kernel: Floats, data: TrainingRows, kept: Ints, held: Ints, strength: float
) -> Floats:
    """Scores `(held, K)`: one solve for each row that is predicted, however many classes there are."""
    system = _regularised(kernel[np.ix_(kept, kept)], strength)
    shares = cho_solve(cho_factor(system, lower=True, overwrite_a=True), kernel[np.ix_(kept, held)])
    means = class_shares(data.targets[kept], data.num_outputs)
    scores = by_class(shares.T, data.targets[kept], data.num_outputs).astype(np.float64)
    result: Floats = scores + (1 - shares.sum(axis=0, dtype=np.float64))[:, None] * means
    return result


def least_squares(kernel: Floats, labels: Ints, num_classes: int, strength: float) -> tuple[Floats, Floats]:
    """Coefficients `(N, K)` of the kernel's rows, and intercepts `(K,)`, of a least-squares SVM.

    Targets are 1 for a row's own class and 0 for the others, minus the share of each class, which the
    intercepts add again.
    """
    means = class_shares(labels, num_classes)
    targets = np.tile(-means.astype(np.float32), (len(labels), 1))
    targets[np.arange(len(labels)), labels] += 1
    factor = cho_factor(_regularised(kernel.copy(), strength), lower=True, overwrite_a=True)
    coefficients: Floats = cho_solve(factor, targets, overwrite_b=True)
    return coefficients, means.astype(np.float32)


def class_shares(labels: Ints, num_classes: int) -> Floats:
    """The share of each class, `(K,) float64`."""
    counts: Floats = np.bincount(labels, minlength=num_classes) / max(len(labels), 1)
    return counts


def by_class(columns: Floats, labels: Ints, num_classes: int) -> Floats:
    """Sums of the columns `(M, N)` with the same label, `(M, K)`."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    result = np.zeros((len(columns), num_classes), dtype=columns.dtype)
    if len(present):
        result[:, present] = np.add.reduceat(columns[:, order], starts, axis=1)
    return result


def _regularised(kernel: Floats, strength: float) -> Floats:
    kernel[np.diag_indices(len(kernel))] += 1 / strength
    return kernel


@contextmanager
def few_images_are_fine() -> Iterator[None]:
    """Within it, scikit-learn does not warn that classes of one or two images might be numbers to regress on.

    Filters of warnings belong to the process, so this is entered by the thread that waits for the others.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        yield


@dataclass(frozen=True)
class PairedMachine:
    """A solved one-against-one SVM in libsvm's layout."""

    support: Ints
    dual: Floats
    intercepts: Floats
    counts: Ints

    def decide(self, kernel: Floats) -> Floats:
        """Votes `(M, K)` from the kernel `(M, N)` between some rows and the rows that were fitted."""
        return vote(kernel[:, self.support].astype(np.float64), self.dual, self.intercepts, self.counts)


def support_vectors(kernel: Floats, labels: Ints, strength: float, tolerance: float = _FINE) -> PairedMachine:
    """Solve a one-against-one SVM with libsvm on a kernel matrix `(N, N)`."""
    from sklearn.svm import SVC

    machine = SVC(C=strength, kernel="precomputed", cache_size=500, tol=tolerance).fit(kernel, labels)
    sign = -1.0 if len(machine.classes_) == 2 else 1.0  # scikit-learn flips the binary case
    return PairedMachine(
        machine.support_.astype(np.int64),
        sign * machine.dual_coef_,
        sign * machine.intercept_,
        machine.n_support_.astype(np.int64),
    )
