"""What a model answers: a prediction for each image, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.prediction.notebook import predictions_html
from regraft.records import SkippedFile


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for one image."""

    path: str
    label: str
    """The predicted class; several labels are joined by `|`, and a number is written as a table writes it."""
    probability: float
    """The probability of the class; NaN in other tasks."""
    probabilities: npt.NDArray[np.float64] = field(repr=False)
    """Outputs `(K,)` in the order of the model's labels: for classification, probabilities that sum to one;
    for several labels, the probability of each; for a number, the number."""
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What `regraft predict --json` shows, such as `value`, `low` and `high` of a number."""


@dataclass(frozen=True)
class Predictions(Sequence[Prediction]):
    """Predictions in the order of the given images, and the files that could not be read."""

    labels: tuple[str, ...]
    rows: tuple[Prediction, ...]
    skipped: tuple[SkippedFile, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:
        return self.rows[place]

    def _repr_html_(self) -> str:
        answers = [(row.path, row.label, row.probability) for row in self.rows]
        return predictions_html(answers, skipped=len(self.skipped))
