"""Support vector machines with a Gaussian kernel on the features of one or several stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from regraft.heads.head import squared_distances
from regraft.heads.kernel_machines import (
    few_images_are_fine,
    is_paired,
    least_squares,
    out_of_fold_scores,
    support_vectors,
)
from regraft.heads.linear import choose_strength, solve_all, solve_many
from regraft.heads.many_rows import held_sample, is_small
from regraft.heads.ridge import held_ridge
from regraft.heads.ridge_regression import ColumnRidge, GramRidge
from regraft.heads.rows import (
    CHUNK_ROWS,
    Candidate,
    FittedHead,
    Floats,
    Standard,
    TrainingRows,
    describe,
    finished,
    standardisation,
    standardised,
    standing,
    standing_measure,
)
from regraft.heads.solving.gauge import Gauge
from regraft.heads.solving.row_blocks import RowBlocks, unscaled_blocks
from regraft.parallel import awaited
from regraft.records import columns_of, stages_of
from regraft.tasks.task import Measure

EXACT_KERNEL_MAX = 8_000  # rows; above that, the exact kernel matrix alone would take half a gigabyte
SEARCH_ROWS = 4_000  # the part of a large data set on which kernel hyperparameters are chosen
LANDMARKS = 1_024
_STRENGTHS = (3.0, 10.0, 30.0)
_MIDDLING_STRENGTH = 10.0
_ROUGH = 1e-2  # tolerance of libsvm's stopping rule for profiles
_WIDTHS = (0.5, 1.0, 2.0)
_MACHINES = len(_WIDTHS) * len(_STRENGTHS)


def fit_kernel(data: TrainingRows, candidates: Sequence[Candidate], gauge: Gauge | None = None) -> FittedHead:
    """Fit an SVM: choose the columns by cross-validated accuracy, then the kernel's width and strength.

    Args:
        data: the training images.
        candidates: sets of columns to choose from.
        gauge: receives how much is done.
    """
    search = data
    if len(data.keys) > exact_rows(data.num_outputs):
        chosen = np.random.default_rng(data.seed).permutation(len(data.keys))[:SEARCH_ROWS]
        search = data.subset(np.sort(chosen))
    steps = (gauge or Gauge()).part(len(candidates) + _MACHINES + 1)
    columns, distances, trials = _choose_columns(search, candidates, steps)
    middle = max(float(np.median(distances)), 1e-12)
    gamma, strength, scores = _choose_kernel(search, distances, middle, steps)
    settings = {"gamma": gamma, "C": strength}
    if search is data:
        fitted = _finish_exact(data, columns, distances, settings, scores)
    else:
        del distances
        fitted = _finish_nystroem(data, columns, settings, steps)
    steps.end()
    return replace(fitted, trials=trials)


def exact_rows(num_classes: int) -> int:
    """The number of rows up to which the kernel matrix of all rows is used."""
    return EXACT_KERNEL_MAX if is_paired(num_classes) else min(SEARCH_ROWS, EXACT_KERNEL_MAX)


def _choose_columns(
    data: TrainingRows, candidates: Sequence[Candidate], steps: Gauge
) -> tuple[Candidate, Floats, tuple[tuple[str, Measure], ...]]:
    """The candidate that cross-validation puts first at medium settings, with its distances."""
    trials = []
    best: tuple[float, Candidate, Floats] | None = None
    for columns, distances in _distances_of(data, candidates):
        if len(candidates) == 1:
            return columns, distances, ()
        kernel = np.exp(distances / -max(float(np.median(distances)), 1e-12))
        scores = out_of_fold_scores(data, kernel, _MIDDLING_STRENGTH)
        value = standing(data.task, scores, data.targets)
        trials.append((describe(columns), standing_measure(data.task, value)))
        if best is None or value > best[0]:
            best = (value, columns, distances.copy())
        steps.finish()
    assert best is not None
    return best[1], best[2], tuple(trials)


def _distances_of(data: TrainingRows, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Floats]]:
    """Squared distances for each candidate, averaged over its stages; each stage is computed once."""
    total: Floats = np.zeros((1, 1), dtype=np.float32)
    done: list[str] = []
    for columns in candidates:
        stages = stages_of(columns)
        if not done or not set(done) <= set(stages):
            total, done = np.zeros((len(data.keys), len(data.keys)), dtype=np.float32), []
        for stage in stages:
            if stage not in done:
                rows = standardised(data, columns_of(columns, [stage]))[1]
                total += squared_distances(rows, rows)
                done.append(stage)
        yield columns, total / len(done)


def _choose_kernel(
    data: TrainingRows, distances: Floats, middle: float, steps: Gauge
) -> tuple[float, float, Floats]:
    """Gamma and strength with the best cross-validated accuracy, and the out-of-fold scores."""
    if data.doubt:
        kernel = np.exp(distances / -middle)
        return 1 / middle, _MIDDLING_STRENGTH, out_of_fold_scores(data, kernel, _MIDDLING_STRENGTH)
    best: tuple[float, float, float, Floats] | None = None
    for width in _WIDTHS:
        kernel = np.exp(distances * (-width / middle))
        for strength in _STRENGTHS:
            scores = out_of_fold_scores(data, kernel, strength)
            value = standing(data.task, scores, data.targets)
            if best is None or value > best[0]:
                best = (value, width / middle, strength, scores)
            steps.finish()
    assert best is not None
    return best[1], best[2], best[3]


def cross_validated_svm(data: TrainingRows, columns: Candidate) -> Floats:
    """Out-of-fold scores `(N, K)` of an SVM of medium width and strength, without a search."""
    return out_of_fold_scores(data, _medium_kernel(data, columns), _MIDDLING_STRENGTH, tolerance=_ROUGH)


def cross_validated_least_squares(data: TrainingRows, columns: Candidate) -> Floats:
    """Out-of-fold scores `(N, K)` of a least-squares SVM of the same width and strength, in closed form."""
    machine = GramRidge(_medium_kernel(data, columns), data.targets, data.num_outputs, data.folds)
    return machine.out_of_fold(_MIDDLING_STRENGTH)


def _medium_kernel(data: TrainingRows, columns: Candidate) -> Floats:
    """Gaussian kernel `(N, N)` of medium width."""
    rows = standardised(data, columns)[1]
    distances = squared_distances(rows, rows)
    middle = max(float(np.median(distances[::7])), 1e-12)  # the median of constant columns is 0
    distances /= -middle
    kernel: Floats = np.exp(distances, out=distances)
    return kernel


def _finish_exact(
    data: TrainingRows, columns: Candidate, distances: Floats, settings: dict[str, float], scores: Floats
) -> FittedHead:
    kernel = np.exp(-settings["gamma"] * distances)
    keys: Sequence[str] = data.keys
    arrays: dict[str, Floats] = {}
    if is_paired(data.num_outputs):
        with few_images_are_fine():
            (machine,) = awaited([lambda: support_vectors(kernel, data.targets, settings["C"])])
        keys = [data.keys[row] for row in machine.support]
        arrays = {"dual": machine.dual, "intercepts": machine.intercepts, "counts": machine.counts}
    else:
        weights, intercepts = least_squares(kernel, data.targets, data.num_outputs, settings["C"])
        arrays = {"weights": weights, "intercepts": intercepts}
    return finished(
        data,
        "rbf-svm",
        columns,
        standard=standardisation(data, columns),
        arrays={"vectors": data.features.matrix(keys, columns).astype(np.float16), **arrays},
        hyperparameters=settings,
        scores=scores,
    )


def _finish_nystroem(
    data: TrainingRows, columns: Candidate, settings: dict[str, float], steps: Gauge
) -> FittedHead:
    """Fit a linear SVM on kernels with random landmarks (Nystroem): memory grows with N, not its square."""
    standard = standardisation(data, columns)
    chosen = np.sort(np.random.default_rng(data.seed).permutation(len(data.keys))[:LANDMARKS])
    vectors = data.features.matrix([data.keys[row] for row in chosen], columns)
    held = held_sample(data)
    is_single = held is None or is_small(len(data.keys), LANDMARKS)
    found, whitening = _nystroem(
        data, columns, standard, vectors, settings["gamma"], dtype=np.float32 if is_single else np.float16
    )
    rows: Floats | RowBlocks = found if is_single else unscaled_blocks(found)
    if held is not None and is_paired(data.num_outputs):
        strength, scores, weights = solve_many(data, held, rows, "squared-hinge", steps)
    elif held is not None:
        strength = settings["C"]
        machine, predict = held_ridge(data, held, rows.__getitem__)
        weights, scores = machine.weights(strength), predict(strength)
    elif is_paired(data.num_outputs):
        strength, scores = choose_strength(data, found, "squared-hinge", gauge=steps)
        weights = solve_all(data, found, "squared-hinge", strength)
    else:
        strength = settings["C"]
        ridge = ColumnRidge(found.__getitem__, data.targets, data.num_outputs, data.folds)
        weights, scores = ridge.weights(strength), ridge.out_of_fold(strength)
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
        hyperparameters={"gamma": settings["gamma"], "C": strength},
        scores=scores,
        sample=None if held is None else held.rows,
    )


def _nystroem(
    data: TrainingRows,
    columns: Candidate,
    standard: Standard,
    vectors: Floats,
    gamma: float,
    *,
    dtype: type[np.floating[Any]] = np.float32,
) -> tuple[Floats, Floats]:
    """Nystroem features of all rows `(N, R)`, and the map `(V, R)` from kernels with the landmarks."""
    standing = standard.apply(vectors.copy())
    values, basis = np.linalg.eigh(np.exp(-gamma * squared_distances(standing, standing)).astype(np.float64))
    keep = values > 1e-6 * values[-1]
    whitening = (basis[:, keep] / np.sqrt(values[keep])).astype(np.float32)
    rows = np.empty((len(data.keys), int(keep.sum())), dtype=dtype)
    for start in range(0, len(data.keys), CHUNK_ROWS):
        part = data.features.matrix(data.keys[start : start + CHUNK_ROWS], columns)
        kernel = np.exp(-gamma * squared_distances(standard.apply(part), standing))
        rows[start : start + CHUNK_ROWS] = kernel @ whitening
    return rows, whitening
