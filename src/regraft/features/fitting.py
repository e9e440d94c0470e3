"""Fitting heads on cached features: hyperparameters by cross-validation, never by the test images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.splits import fold_numbers
from regraft.errors import DataError
from regraft.features.extraction import Features
from regraft.features.heads import Head, softmax, squared_distances, vote
from regraft.features.solver import LinearProblems, Loss, solve
from regraft.records import Column, HeadKind, HeadRecord

Floats = npt.NDArray[Any]
Candidate = tuple[Column, ...]

EXACT_KERNEL_MAX = 8_000  # rows; beyond, an exact kernel matrix alone would take half a gigabyte
_SEARCH_ROWS = 4_000  # the part of a large data set on which kernel hyperparameters are chosen
_LANDMARKS = 1_024
_STRENGTHS: dict[Loss, tuple[float, ...]] = {
    "softmax": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
    "squared-hinge": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
}
_KERNEL_STRENGTHS = (3.0, 10.0, 30.0)
_KERNEL_WIDTHS = (0.5, 1.0, 2.0)
_CHUNK = 4_096


@dataclass(frozen=True)
class TrainingRows:
    """The training images of a data set, as their features."""

    features: Features
    keys: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    groups: tuple[str, ...]
    num_classes: int
    seed: int = 0

    @cached_property
    def folds(self) -> npt.NDArray[np.int64]:
        """Five folds, fewer if the groups are fewer; whole groups together."""
        count = min(5, len(set(self.groups)))
        if count < 2:
            raise DataError("the training images form a single group of look-alikes: nothing to validate on")
        return fold_numbers(self.labels, self.groups, folds=count, seed=self.seed)

    def subset(self, rows: npt.NDArray[np.int64]) -> TrainingRows:
        """Some of the rows."""
        return TrainingRows(
            self.features,
            tuple(self.keys[row] for row in rows),
            self.labels[rows],
            tuple(self.groups[row] for row in rows),
            self.num_classes,
            self.seed,
        )


@dataclass(frozen=True)
class FittedHead:
    """A head, and what cross-validation on the training images said about it."""

    head: Head
    out_of_fold: npt.NDArray[np.float64]
    """`(N, K)` probabilities of each training image by heads that did not see its fold."""
    folds: int
    trials: tuple[tuple[str, float], ...] = field(default=())
    """What was compared (stage or stages) and its cross-validated accuracy."""


def fit_head(data: TrainingRows, kind: HeadKind, candidates: Sequence[Candidate]) -> FittedHead:
    """The best head of a kind over some choices of columns.

    Args:
        data: the training images.
        kind: see `Head`.
        candidates: sets of feature columns to choose from, by cross-validated accuracy.
    """
    if kind == "rbf-svm":
        return _fit_kernel(data, candidates)
    fit: Callable[[TrainingRows, Candidate], FittedHead] = {
        "logistic": _fit_logistic,
        "linear-svm": _fit_linear_svm,
        "centroid": _fit_centroid,
    }[kind]
    fitted = [fit(data, candidate) for candidate in candidates]
    accuracies = [_accuracy(one.out_of_fold, data.labels) for one in fitted]
    best = fitted[int(np.argmax(accuracies))]
    trials = tuple((describe(c), accuracy) for c, accuracy in zip(candidates, accuracies, strict=True))
    return FittedHead(best.head, best.out_of_fold, best.folds, trials)


def describe(columns: Sequence[Column]) -> str:
    """`layer3` for one stage, `layer2 ... layer4 (3 stages)` for several."""
    stages = list(dict.fromkeys(column.stage for column in columns))
    return stages[0] if len(stages) == 1 else f"{stages[0]} ... {stages[-1]} ({len(stages)} stages)"


def _accuracy(scores: Floats, labels: npt.NDArray[np.int64]) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))


def _log_loss(probabilities: Floats, labels: npt.NDArray[np.int64]) -> float:
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


@dataclass(frozen=True)
class _Standard:
    """Standardisation of some columns: each stage to unit variance, divided by the root of its width."""

    mean: Floats
    scale: Floats

    def apply(self, rows: Floats) -> Floats:
        rows -= self.mean
        rows *= self.scale
        return rows


def _standard(data: TrainingRows, columns: Candidate) -> _Standard:
    """From all training rows, labels unseen; a column that never changes is left out (scale 0)."""
    width = sum(column.stop - column.start for column in columns)
    total, squares = np.zeros(width), np.zeros(width)
    for start in range(0, len(data.keys), _CHUNK):
        rows = data.features.matrix(data.keys[start : start + _CHUNK], columns).astype(np.float64)
        total += rows.sum(axis=0)
        squares += np.square(rows).sum(axis=0)
    mean = total / len(data.keys)
    variance = np.maximum(squares / len(data.keys) - mean**2, 0)
    stages = list(dict.fromkeys(column.stage for column in columns))
    widths = {s: sum(c.stop - c.start for c in columns if c.stage == s) for s in stages}
    root = np.concatenate([np.full(c.stop - c.start, widths[c.stage] * len(stages)) for c in columns]) ** 0.5
    is_constant = variance <= 1e-12 * np.maximum(mean**2, 1e-12)
    scale = np.where(is_constant, 0, 1 / (np.sqrt(np.where(is_constant, 1, variance)) * root))
    return _Standard(mean.astype(np.float32), scale.astype(np.float32))


def _standardised(data: TrainingRows, columns: Candidate) -> tuple[_Standard, npt.NDArray[np.float32]]:
    standard = _standard(data, columns)
    return standard, standard.apply(data.features.matrix(data.keys, columns))


def _finish(
    data: TrainingRows,
    kind: HeadKind,
    columns: Candidate,
    *,
    standard: _Standard,
    arrays: dict[str, Floats],
    hyperparameters: dict[str, float],
    scores: Floats,
    temperature: float | None = None,
) -> FittedHead:
    heat = _temperature(scores, data.labels) if temperature is None else temperature
    record = HeadRecord(kind=kind, columns=columns, hyperparameters=hyperparameters, temperature=heat)
    head = Head(record, {"mean": standard.mean, "scale": standard.scale, **arrays})
    return FittedHead(head, softmax(scores / heat), int(data.folds.max()) + 1)


def _temperature(scores: Floats, labels: npt.NDArray[np.int64]) -> float:
    """The temperature of least log-loss on out-of-fold scores (Guo et al. 2017), by golden section."""

    def loss(log_heat: float) -> float:
        return _log_loss(softmax(scores / np.exp(log_heat)), labels)

    low, high = -6.0, 6.0
    golden = (5**0.5 - 1) / 2
    while high - low > 1e-3:
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return float(np.exp((low + high) / 2))


# --- linear heads -----------------------------------------------------------------------------------


def _fit_logistic(data: TrainingRows, columns: Candidate) -> FittedHead:
    return _fit_linear(data, columns, kind="logistic", loss="softmax")


def _fit_linear_svm(data: TrainingRows, columns: Candidate) -> FittedHead:
    return _fit_linear(data, columns, kind="linear-svm", loss="squared-hinge")


def _fit_linear(data: TrainingRows, columns: Candidate, *, kind: HeadKind, loss: Loss) -> FittedHead:
    standard, rows = _standardised(data, columns)
    strength, scores = _choose_strength(data, rows, loss)
    weights = _solve_all(data, rows, loss, strength)
    return _finish(
        data,
        kind,
        columns,
        standard=standard,
        arrays={"weights": weights[:-1], "intercepts": weights[-1]},
        hyperparameters={"C": strength},
        scores=scores,
        temperature=1.0 if loss == "softmax" else None,
    )


def _solve_all(data: TrainingRows, rows: Floats, loss: Loss, strength: float) -> Floats:
    every = np.ones((1, len(rows)), dtype=bool)
    weights: Floats = solve(LinearProblems(rows, data.labels, data.num_classes, every, loss), strength)[0]
    return weights


def _choose_strength(data: TrainingRows, rows: Floats, loss: Loss) -> tuple[float, Floats]:
    """The strength of least cross-validated loss, and its out-of-fold scores.

    All folds are solved together, each strength starting from the optima of the one before; the search
    ends when two strengths in a row were no better.
    """
    folds = data.folds
    trained = np.stack([folds != fold for fold in range(folds.max() + 1)])
    problems = LinearProblems(rows, data.labels, data.num_classes, trained, loss)
    best: tuple[float, float, Floats] | None = None
    weights, worse = None, 0
    for strength in _STRENGTHS[loss]:
        weights = solve(problems, strength, start=weights, tolerance=3e-3)
        scores = np.empty((len(rows), data.num_classes))
        for fold in range(len(trained)):
            held = folds == fold
            scores[held] = rows[held] @ weights[fold, :-1] + weights[fold, -1]
        value = (
            _log_loss(softmax(scores), data.labels) if loss == "softmax" else -_accuracy(scores, data.labels)
        )
        if best is None or value < best[0]:
            best, worse = (value, strength, scores), 0
        else:
            worse += 1
        if worse == 2:
            break
    assert best is not None
    return best[1], best[2]


def _fit_centroid(data: TrainingRows, columns: Candidate) -> FittedHead:
    standard, rows = _standardised(data, columns)
    scores = np.empty((len(rows), data.num_classes))
    for fold in range(data.folds.max() + 1):
        held = data.folds == fold
        centres = _class_means(rows[~held], data.labels[~held], data.num_classes)
        scores[held] = -0.5 * squared_distances(rows[held], centres)
    centres = _class_means(rows, data.labels, data.num_classes)
    return _finish(
        data,
        "centroid",
        columns,
        standard=standard,
        arrays={"centroids": centres},
        hyperparameters={},
        scores=scores,
    )


def _class_means(rows: Floats, labels: npt.NDArray[np.int64], num_classes: int) -> Floats:
    """`(K, D)`; a class without rows is put far away, where nothing is nearest to it."""
    means = np.full((num_classes, rows.shape[1]), 1e3, dtype=np.float32)
    for label in np.unique(labels):
        means[label] = rows[labels == label].mean(axis=0)
    return means


# --- kernel heads -----------------------------------------------------------------------------------


def _fit_kernel(data: TrainingRows, candidates: Sequence[Candidate]) -> FittedHead:
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
    """The candidate of best cross-validated accuracy at middling settings, with its distances."""
    trials = []
    best: tuple[float, Candidate, Floats] | None = None
    for columns, distances in _distances_of(data, candidates):
        if len(candidates) == 1:
            return columns, distances, ()
        scores = _out_of_fold(data, np.exp(distances / -np.median(distances)), 10.0)
        accuracy = _accuracy(scores, data.labels)
        trials.append((describe(columns), accuracy))
        if best is None or accuracy > best[0]:
            best = (accuracy, columns, distances.copy())
    assert best is not None
    return best[1], best[2], tuple(trials)


def _distances_of(data: TrainingRows, candidates: Sequence[Candidate]) -> Any:
    """Squared distances for each candidate: means over its stages, each new stage added once."""
    total: Floats = np.zeros((1, 1), dtype=np.float32)
    done: list[str] = []
    for columns in candidates:
        stages = list(dict.fromkeys(column.stage for column in columns))
        if not done or not set(done) <= set(stages):
            total, done = np.zeros((len(data.keys), len(data.keys)), dtype=np.float32), []
        for stage in stages:
            if stage not in done:
                rows = _standardised(data, tuple(c for c in columns if c.stage == stage))[1]
                total += squared_distances(rows, rows)
                done.append(stage)
        yield columns, total / len(done)


def _choose_kernel(data: TrainingRows, distances: Floats, middle: float) -> tuple[float, float, Floats]:
    best: tuple[float, float, float, Floats] | None = None
    for width in _KERNEL_WIDTHS:
        kernel = np.exp(distances * (-width / middle))
        for strength in _KERNEL_STRENGTHS:
            scores = _out_of_fold(data, kernel, strength)
            accuracy = _accuracy(scores, data.labels)
            if best is None or accuracy > best[0]:
                best = (accuracy, width / middle, strength, scores)
    assert best is not None
    return best[1], best[2], best[3]


def _out_of_fold(data: TrainingRows, kernel: Floats, strength: float) -> Floats:
    scores = np.full((len(kernel), data.num_classes), -1.0)
    for fold in range(data.folds.max() + 1):
        held = np.flatnonzero(data.folds == fold)
        kept = np.flatnonzero(data.folds != fold)
        present = np.unique(data.labels[kept])
        if len(present) < 2:
            scores[np.ix_(held, present)] = 0.0
            continue
        machine = _support_vectors(kernel[np.ix_(kept, kept)], data.labels[kept], strength)
        scores[np.ix_(held, present)] = machine.decide(kernel[np.ix_(held, kept)])
    return scores


@dataclass(frozen=True)
class _Machine:
    """What libsvm found, in its own layout."""

    support: npt.NDArray[np.int64]
    dual: Floats
    intercepts: Floats
    counts: npt.NDArray[np.int64]

    def decide(self, kernel: Floats) -> Floats:
        return vote(kernel[:, self.support].astype(np.float64), self.dual, self.intercepts, self.counts)


def _support_vectors(kernel: Floats, labels: npt.NDArray[np.int64], strength: float) -> _Machine:
    from sklearn.svm import SVC

    machine = SVC(C=strength, kernel="precomputed", cache_size=500).fit(kernel, labels)
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
    standard = _standard(data, columns)
    return _finish(
        data,
        "rbf-svm",
        columns,
        standard=standard,
        arrays=arrays,
        hyperparameters=settings,
        scores=scores,
    )


def _finish_nystroem(data: TrainingRows, columns: Candidate, gamma: float) -> FittedHead:
    """Kernel features towards random landmarks, then a linear SVM: memory grows with N, not its square."""
    standard = _standard(data, columns)
    chosen = np.sort(np.random.default_rng(data.seed).permutation(len(data.keys))[:_LANDMARKS])
    vectors = data.features.matrix([data.keys[row] for row in chosen], columns)
    standing = standard.apply(vectors.copy())
    values, basis = np.linalg.eigh(np.exp(-gamma * squared_distances(standing, standing)).astype(np.float64))
    keep = values > 1e-6 * values[-1]
    whitening = (basis[:, keep] / np.sqrt(values[keep])).astype(np.float32)
    rows = np.empty((len(data.keys), int(keep.sum())), dtype=np.float32)
    for start in range(0, len(data.keys), _CHUNK):
        part = data.features.matrix(data.keys[start : start + _CHUNK], columns)
        kernel = np.exp(-gamma * squared_distances(standard.apply(part), standing))
        rows[start : start + _CHUNK] = kernel @ whitening
    strength, scores = _choose_strength(data, rows, "squared-hinge")
    weights = _solve_all(data, rows, "squared-hinge", strength)
    return _finish(
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
