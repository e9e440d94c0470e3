"""The scores that a run leaves behind, whatever its task is."""

from __future__ import annotations

from regraft.records import Record, Scores
from regraft.tasks.classification import Classification
from regraft.tasks.multilabel import Multilabel
from regraft.tasks.multilabel_scores import MultilabelScores
from regraft.tasks.regression import Regression, RegressionScores
from regraft.tasks.task import Measure

AnyScores = Scores | MultilabelScores | RegressionScores
"""The scores of one set of predictions; the names of their fields tell the kinds apart."""

_TASKS: dict[type[AnyScores], type[Classification] | type[Multilabel] | type[Regression]] = {
    Scores: Classification,
    MultilabelScores: Multilabel,
    RegressionScores: Regression,
}


def measures(scores: AnyScores) -> tuple[Measure, ...]:
    """The scores as a list, the most important one first, whatever their task is."""
    return _TASKS[type(scores)].measures(scores)  # type: ignore[arg-type]


def baseline_name(scores: AnyScores) -> str:
    """The name of the trivial model whose scores stand next to these."""
    return _TASKS[type(scores)].baseline_name


class ScoreSheet(Record):
    """The scores that a run leaves behind (`scores.json`)."""

    test: AnyScores | None
    validation: AnyScores | None
    baseline: AnyScores | None
    """Scores of the trivial model that knows the training labels and no image, for example of always
    predicting the most frequent class: on the test images if there are any, otherwise on the validation
    images."""
