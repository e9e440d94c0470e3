"""The head of a number: a ridge regression, with exact predictions for left-out images."""

from __future__ import annotations

from dataclasses import replace

from regraft.heads.many_rows import HeldSample, held_sample, row_blocks
from regraft.heads.rows import Candidate, FittedHead, TrainingRows, finished, standardised
from regraft.heads.solving.gauge import Gauge
from regraft.heads.solving.number_equations import solve_many_numbers
from regraft.heads.solving.shrinkage import MIDDLING, STRENGTHS, solve_number


def fit_number_ridge(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a ridge regression of the number; each group of images is a fold of its cross-validation.

    Of many rows, a sample is held out instead; see `many_rows`.
    """
    held = held_sample(data)
    if held is not None:
        return _fit_many(data, held, columns, gauge)
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


def _fit_many(
    data: TrainingRows, held: HeldSample, columns: Candidate, gauge: Gauge | None = None
) -> FittedHead:
    standard, rows = row_blocks(data, columns)
    strengths = (MIDDLING,) if data.doubt else STRENGTHS
    solved = solve_many_numbers(
        rows, data.targets, held.rows, held.others, strengths=strengths, gauge=(gauge or Gauge()).part()
    )
    return finished(
        data,
        "ridge",
        columns,
        standard=standard,
        arrays={"weights": solved.weights[:-1], "intercepts": solved.weights[-1]},
        hyperparameters={"C": solved.strength},
        scores=solved.out_of_fold,
        sample=held.rows,
    )
