"""The ridge head: a linear classifier in closed form, cross-validated exactly in a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from regraft.heads.many_rows import HeldSample, held_sample, row_blocks
from regraft.heads.ridge_regression import ColumnRidge, Ridge, RowRidge
from regraft.heads.rows import (
    Candidate,
    FittedHead,
    Floats,
    Standard,
    TrainingRows,
    finished,
    shortfall,
    standardisation,
)
from regraft.heads.solving.gauge import Gauge
from regraft.tasks.task import Task

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_STRENGTHS = tuple(10 ** (half / 2) for half in range(-6, 9))  # 0.001 to 10,000
_MIDDLING = _STRENGTHS.index(1.0)
_MIDDLING_HEAT = 0.1  # temperature where calibration is impossible; calibrated ones were 0.07 to 0.3
_IN_MEMORY = 256_000_000  # bytes of rows; more than that are read again for each strength


def fit_ridge(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a calibrated ridge regression on class indicators (a least-squares classifier).

    The strength is the one with the smallest squared error by cross-validation, on the folds of all heads.
    The search starts at a medium strength and follows the error downhill. Of many rows, one sample is held
    out instead (see `many_rows`); every strength is fitted on all other rows.
    """
    held = held_sample(data)
    predict: Callable[[float], Doubles]
    if held is None:
        standard = standardisation(data, columns)
        ridge = _ridge(data, columns, standard)
        predict, targets = ridge.out_of_fold, data.targets
    else:
        standard, rows = row_blocks(data, columns)
        ridge, predict = held_ridge(data, held, rows.__getitem__)
        targets = data.targets[held.rows]
    steps = (gauge or Gauge()).part(5)  # about as many as there are fits
    place, scores = _MIDDLING, predict(_STRENGTHS[_MIDDLING])
    if not data.doubt:
        place, scores = _downhill(predict, data.task, targets, scores, steps)
    weights = ridge.weights(_STRENGTHS[place])
    steps.end()
    return finished(
        data,
        "ridge",
        columns,
        standard=standard,
        arrays={"weights": weights[:-1], "intercepts": weights[-1]},
        hyperparameters={"C": _STRENGTHS[place]},
        scores=scores,
        temperature=_MIDDLING_HEAT if data.doubt else None,
        sample=None if held is None else held.rows,
    )


def held_ridge(
    data: TrainingRows, held: HeldSample, read: Callable[[Ints], Floats]
) -> tuple[ColumnRidge, Callable[[float], Doubles]]:
    """A ridge regression on many rows, and the function that predicts those that are held out.

    Args:
        data: the training images.
        held: which of them are held out.
        read: returns the given rows `(n, D)`.
    """
    is_left_out = 1 - held.trained(len(data.keys))[0].astype(np.int64)
    ridge = ColumnRidge(read, data.targets, data.num_outputs, is_left_out)
    return ridge, partial(ridge.left_out, rows=held.rows, fold=1)


def _ridge(data: TrainingRows, columns: Candidate, standard: Standard) -> Ridge:
    """The ridge regression in the space of the rows or of the columns, whichever is smaller."""

    def read(chosen: npt.NDArray[np.int64]) -> Floats:
        return standard.apply(data.features.matrix([data.keys[row] for row in chosen], columns))

    number, width = len(data.keys), len(standard.mean)
    is_small = number <= width or 4 * number * width <= _IN_MEMORY
    rows = standard.apply(data.features.matrix(data.keys, columns)) if is_small else None
    if rows is not None and number <= width:
        return RowRidge(rows, data.targets, data.num_outputs, data.folds)
    reader = read if rows is None else rows.__getitem__
    return ColumnRidge(reader, data.targets, data.num_outputs, data.folds)


def _downhill(
    predict: Callable[[float], Doubles], task: Task, targets: Ints, scores: Doubles, steps: Gauge
) -> tuple[int, Doubles]:
    """The number of the best strength and its out-of-fold scores, from those of the medium strength."""
    place, error = _MIDDLING, _shortfall(task, targets, scores)
    for step in (1, -1):
        while 0 <= place + step < len(_STRENGTHS):
            trial = predict(_STRENGTHS[place + step])
            steps.finish()
            trial_error = _shortfall(task, targets, trial)
            if trial_error >= error:
                break
            place, scores, error = place + step, trial, trial_error
        if place != _MIDDLING:
            break
    return place, scores


def _shortfall(task: Task, targets: Ints, scores: Floats) -> tuple[float, ...]:
    return shortfall(task, scores, targets, squared_error(scores, targets))


def squared_error(scores: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Mean over the rows of |score - indicator of the class|^2.

    >>> squared_error(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 0]))
    0.25
    """
    own = scores[np.arange(len(labels)), labels]
    return float((np.einsum("nk,nk->", scores, scores) - 2 * own.sum()) / len(labels) + 1)
