"""The head of several labels an image: a logistic regression of each label, all solved side by side."""

from __future__ import annotations

from regraft.heads.gauge import Gauge
from regraft.heads.label_solver import STRENGTHS, solve_labels
from regraft.heads.row_space import row_space
from regraft.heads.rows import Candidate, FittedHead, TrainingRows, finished, standardised

_MIDDLING = 100.0  # C where cross-validation can't choose it, as for classes
_EVALUATIONS = 200  # see `linear`: about as many as a search for the strength takes


def fit_label_logistic(data: TrainingRows, columns: Candidate, gauge: Gauge | None = None) -> FittedHead:
    """Fit a logistic regression of each label; its probabilities need no calibration.

    The strength of label k is the hyperparameter `C/k`.
    """
    standard, rows = standardised(data, columns)
    folds = int(data.folds.max()) + 1
    space = row_space(rows, _EVALUATIONS * data.num_outputs * folds)
    solved = solve_labels(
        space.rows,
        data.targets,
        data.folds,
        strengths=(_MIDDLING,) if data.doubt else STRENGTHS,
        gauge=(gauge or Gauge()).part(),
    )
    weights = space.weights(solved.weights)
    return finished(
        data,
        "logistic",
        columns,
        standard=standard,
        arrays={"weights": weights[:-1], "intercepts": weights[-1]},
        hyperparameters={f"C/{label}": float(one) for label, one in enumerate(solved.strengths)},
        scores=solved.out_of_fold,
    )
