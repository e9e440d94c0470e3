"""The head of several labels an image: a logistic regression of each label, all solved side by side."""

from __future__ import annotations

from regraft.heads.many_rows import held_sample, row_blocks
from regraft.heads.rows import Candidate, FittedHead, TrainingRows, finished, standardised
from regraft.heads.solving.gauge import Gauge
from regraft.heads.solving.label_solver import STRENGTHS, solve_labels
from regraft.heads.solving.many_labels import Parts, solve_many_labels
from regraft.heads.solving.row_space import row_space

_MIDDLING = 100.0  # C where cross-validation can't choose it, as for classes
_EVALUATIONS = 200  # see `linear`: about as many as a search for the strength takes


def fit_label_logistic(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a logistic regression of each label; its probabilities need no calibration.

    The strength of label k is the hyperparameter `C/k`. Of many rows, a sample is held out instead of five
    folds; see `many_rows`.
    """
    strengths, steps = (_MIDDLING,) if data.doubt else STRENGTHS, (gauge or Gauge()).part()
    held = held_sample(data)
    if held is None:
        standard, rows = standardised(data, columns)
        folds = int(data.folds.max()) + 1
        space = row_space(rows, _EVALUATIONS * data.num_outputs * folds)
        solved = solve_labels(space.rows, data.targets, data.folds, strengths=strengths, gauge=steps)
        weights = space.weights(solved.weights)
    else:
        standard, blocks = row_blocks(data, columns)
        parts = Parts(held.rows, held.others, held.search)
        solved = solve_many_labels(blocks, data.targets, parts, strengths=strengths, gauge=steps)
        weights = solved.weights
    return finished(
        data,
        "logistic",
        columns,
        standard=standard,
        arrays={"weights": weights[:-1], "intercepts": weights[-1]},
        hyperparameters={f"C/{label}": float(one) for label, one in enumerate(solved.strengths)},
        scores=solved.out_of_fold,
        sample=None if held is None else held.rows,
    )
