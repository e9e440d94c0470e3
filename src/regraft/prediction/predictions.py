"""What a model answers: a prediction for each image, in their order."""

from __future__ import annotations

from collections.abc import Sequence
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
    probability: float
    probabilities: npt.NDArray[np.float64] = field(repr=False)
    """Probabilities `(K,)` in the order of the model's labels; they sum to one."""


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
