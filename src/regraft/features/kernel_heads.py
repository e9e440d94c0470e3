"""Support vector machines with a Gaussian kernel on the features of one or several stages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.features.heads import lag, squared_distances, vote
from regraft.features.linear_heads import choose_strength, solve_all
from regraft.features.training_rows import (
    CHUNK_ROWS,
    Candidate,
    FittedHead,
    Floats,
    TrainingRows,
    accuracy,
    describe,
    finished,
    standardisation,
    standardised,
)

EXACT_KERNEL_MAX = 8_000  # rows; above that, the exact kernel matrix alone would take half a gigabyte
_SEARCH_ROWS = 4_000  # the part of a large data set on which kernel hyperparameters are chosen
_LANDMARKS = 1_024
_STRENGTHS = (3.0, 10.0, 30.0)
_MIDDLING_STRENGTH = 10.0
_FINE, _ROUGH = 1e-3, 1e-2  # tolerances of libsvm's stopping rule: its own, and one for profiles
_WIDTHS = (0.5, 1.0, 2.0)


def fit_kernel(data: TrainingRows, candidates: Sequence[Candidate]) -> FittedHead:
    """Fit an SVM: choose the columns by cross-validated accuracy, then the kernel's width and strength."""
    search = data
    if len(data.keys) > EXACT_KERNEL_MAX:
        chosen = np.random.default_rng(data.seed).permutation(len(data.keys))[:_SEARCH_ROWS]
        search = data.subset(np.sort(chosen))
    columns, distances, trials = _choose_columns(search, candidates)
    middle = float(np.median(distances))
    gamma, strength, scores = _choose_kernel(search, distances, middle)
    settings = {"gamma": gamma, "C": strength}
    if search is data:
        fitted = _finish_exact(data, columns, distances, settings, scores)
    else:
        del distances
        fitted = _finish_nystroem(data, columns, gamma)
    return FittedHead(fitted.head, fitted.out_of_fold, fitted.folds, trials)


def _choose_columns(
    data: TrainingRows, candidates: Sequence[Candidate]
) -> tuple[Candidate, Floats, tuple[tuple[str, float], ...]]:
    """The candidate with the best cross-validated accuracy at medium settings, with its distances."""
    trials = []
    best: tuple[float, Candidate, Floats] | None = None
    for columns, distances in _distances_of(data, candidates):
        if len(candidates) == 1:
            return columns, distances, ()
        kernel = np.exp(distances / -np.median(distances))
        scores = out_of_fold_scores(data, kernel, _MIDDLING_STRENGTH)
        share = accuracy(scores, data.labels)
        trials.append((describe(columns), share))
        if best is None or share > best[0]:
            best = (share, columns, distances.copy())
    assert best is not None
    return best[1], best[2], tuple(trials)


def _distances_of(data: TrainingRows, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Floats]]:
    """Squared distances for each candidate, averaged over its stages; each stage is computed once."""
    total: Floats = np.zeros((1, 1), dtype=np.float32)
    done: list[str] = []
    for columns in candidates:
        stages = list(dict.fromkeys(column.stage for column in columns))
        if not done or not set(done) <= set(stages):
            total, done = np.zeros((len(data.keys), len(data.keys)), dtype=np.float32), []
        for stage in stages:
            if stage not in done:
                rows = standardised(data, tuple(c for c in columns if c.stage == stage))[1]
                total += squared_distances(rows, rows)
                done.append(stage)
        yield columns, total / len(done)


def _choose_kernel(data: TrainingRows, distances: Floats, middle: float) -> tuple[float, float, Floats]:
    best: tuple[float, float, float, Floats] | None = None
    for width in _WIDTHS:
        kernel = np.exp(distances * (-width / middle))
        for strength in _STRENGTHS:
            scores = out_of_fold_scores(data, kernel, strength)
            share = accuracy(scores, data.labels)
            if best is None or share > best[0]:
                best = (share, width / middle, strength, scores)
    assert best is not None
    return best[1], best[2], best[3]


def cross_validated_svm(data: TrainingRows, columns: Candidate) -> Floats:
    """Out-of-fold scores `(N, K)` of an SVM of medium width and strength, without a search."""
    rows = standardised(data, columns)[1]
    distances = squared_distances(rows, rows)
    middle = max(float(np.median(distances[::7])), 1e-12)  # the median of constant columns is 0
    distances /= -middle
    kernel = np.exp(distances, out=distances)
    return out_of_fold_scores(data, kernel, _MIDDLING_STRENGTH, tolerance=_ROUGH)


def out_of_fold_scores(
    data: TrainingRows, kernel: Floats, strength: float, *, tolerance: float = _FINE
) -> Floats:
    """Scores `(N, K)` of each row by an SVM not fitted on its fold, from any kernel matrix `(N, N)`."""
    folds = int(data.folds.max()) + 1
    trained = np.stack([data.folds != fold for fold in range(folds)])
    return masked_scores(data, kernel, strength, trained, tolerance=tolerance)


def masked_scores(
    data: TrainingRows,
    kernel: Floats,
    strength: float,
    trained: npt.NDArray[np.bool_],
    *,
    tolerance: float = _FINE,
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

    votes = np.zeros((len(kernel), data.num_classes))

    def judge(fold: int) -> None:
        held, kept = np.flatnonzero(data.folds == fold), np.flatnonzero(trained[fold])
        present = np.unique(data.labels[kept])
        absent = np.setdiff1d(np.arange(data.num_classes), present)
        if len(present) < 2:
            votes[np.ix_(held, absent)] = -1.0
            return
        own = kernel[np.ix_(kept, kept)]
        machine = _support_vectors(own, data.labels[kept], strength, tolerance)
        votes[np.ix_(held, present)] = decided = machine.decide(kernel[np.ix_(held, kept)])
        votes[np.ix_(held, absent)] = decided.min(axis=1, keepdims=True) - 1

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # libsvm releases the interpreter's lock
        list(pool.map(judge, range(len(trained))))
    return lag(votes)


@dataclass(frozen=True)
class _Machine:
    """A solved SVM in libsvm's layout."""

    support: npt.NDArray[np.int64]
    dual: Floats
    intercepts: Floats
    counts: npt.NDArray[np.int64]

    def decide(self, kernel: Floats) -> Floats:
        return vote(kernel[:, self.support].astype(np.float64), self.dual, self.intercepts, self.counts)


def _support_vectors(
    kernel: Floats, labels: npt.NDArray[np.int64], strength: float, tolerance: float = _FINE
) -> _Machine:
    from sklearn.svm import SVC

    machine = SVC(C=strength, kernel="precomputed", cache_size=500, tol=tolerance).fit(kernel, labels)
    sign = -1.0 if len(machine.classes_) == 2 else 1.0  # scikit-learn flips the binary case
    return _Machine(
        machine.support_.astype(np.int64),
        sign * machine.dual_coef_,
        sign * machine.intercept_,
        machine.n_support_.astype(np.int64),
    )


def _finish_exact(
    data: TrainingRows, columns: Candidate, distances: Floats, settings: dict[str, float], scores: Floats
) -> FittedHead:
    machine = _support_vectors(np.exp(-settings["gamma"] * distances), data.labels, settings["C"])
    keys = [data.keys[row] for row in machine.support]
    arrays = {
        "vectors": data.features.matrix(keys, columns).astype(np.float16),
        "dual": machine.dual,
        "intercepts": machine.intercepts,
        "counts": machine.counts,
    }
    standard = standardisation(data, columns)
    return finished(
        data,
        "rbf-svm",
        columns,
        standard=standard,
        arrays=arrays,
        hyperparameters=settings,
        scores=scores,
    )


def _finish_nystroem(data: TrainingRows, columns: Candidate, gamma: float) -> FittedHead:
    """Fit a linear SVM on kernels with random landmarks (Nystroem): memory grows with N, not its square."""
    standard = standardisation(data, columns)
    chosen = np.sort(np.random.default_rng(data.seed).permutation(len(data.keys))[:_LANDMARKS])
    vectors = data.features.matrix([data.keys[row] for row in chosen], columns)
    standing = standard.apply(vectors.copy())
    values, basis = np.linalg.eigh(np.exp(-gamma * squared_distances(standing, standing)).astype(np.float64))
    keep = values > 1e-6 * values[-1]
    whitening = (basis[:, keep] / np.sqrt(values[keep])).astype(np.float32)
    rows = np.empty((len(data.keys), int(keep.sum())), dtype=np.float32)
    for start in range(0, len(data.keys), CHUNK_ROWS):
        part = data.features.matrix(data.keys[start : start + CHUNK_ROWS], columns)
        kernel = np.exp(-gamma * squared_distances(standard.apply(part), standing))
        rows[start : start + CHUNK_ROWS] = kernel @ whitening
    strength, scores = choose_strength(data, rows, "squared-hinge")
    weights = solve_all(data, rows, "squared-hinge", strength)
    return finished(
        data,
        "rbf-svm",
        columns,
        standard=standard,
        arrays={
            "vectors": vectors.astype(np.float16),
            "map": whitening,
            "weights": weights[:-1],
            "intercepts": weights[-1],
        },
        hyperparameters={"gamma": gamma, "C": strength},
        scores=scores,
    )
