"""The head of a number: a ridge regression, with exact predictions for left-out images."""

from __future__ import annotations

from dataclasses import replace

from regraft.heads.many_rows import held_sample, row_blocks
from regraft.heads.rows import Candidate, FittedHead, TrainingRows, finished, standardised
from regraft.heads.solving.gauge import Gauge
from regraft.heads.solving.number_equations import solve_many_numbers
from regraft.heads.solving.shrinkage import MIDDLING, STRENGTHS, solve_number


def fit_number_ridge(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a ridge regression of the number; each group of images is a fold of its cross-validation.

    Of many rows, a sample is held out instead; see `many_rows`.
    """
    held = held_sample(data)
    strengths = (MIDDLING,) if data.doubt else STRENGTHS
    if held is None:
        standard, rows = standardised(data, columns)
        solved = solve_number(rows, data.targets, data.groups, strengths=strengths)
    else:
        standard, blocks = row_blocks(data, columns)
        steps = (gauge or Gauge()).part()
        solved = solve_many_numbers(
            blocks, data.targets, held.rows, held.others, strengths=strengths, gauge=steps
        )
    fitted = finished(
        data,
        "ridge",
        columns,
        standard=standard,
        arrays={"weights": solved.weights[:-1], "intercepts": solved.weights[-1]},
        hyperparameters={"C": solved.strength},
        scores=solved.out_of_fold,
        sample=None if held is None else held.rows,
    )
    return replace(fitted, folds=len(set(data.groups))) if held is None else fitted
