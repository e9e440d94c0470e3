"""The head of a number: a ridge regression, with exact predictions for left-out images."""

from __future__ import annotations

from dataclasses import replace

from regraft.heads.gauge import Gauge
from regraft.heads.rows import Candidate, FittedHead, TrainingRows, finished, standardised
from regraft.heads.shrinkage import MIDDLING, STRENGTHS, solve_number


def fit_number_ridge(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a ridge regression of the number; each group of images is a fold of its cross-validation."""
    del gauge  # one decomposition, which can't be interrupted
    standard, rows = standardised(data, columns)
    solved = solve_number(rows, data.targets, data.groups, strengths=(MIDDLING,) if data.doubt else STRENGTHS)
    fitted = finished(
        data,
        "ridge",
        columns,
        standard=standard,
        arrays={"weights": solved.weights[:-1], "intercepts": solved.weights[-1]},
        hyperparameters={"C": solved.strength},
        scores=solved.out_of_fold,
    )
    return replace(fitted, folds=len(set(data.groups)))
