"""What a model answers: a prediction for each image, in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.prediction.notebook import MOST_ROWS, predictions_html
from regraft.records import SkippedFile
from regraft.tasks.task import Answer, Task


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for one image."""

    path: str
    label: str
    """The answer as tables write it: the class, the labels joined by `|`, or the number."""
    probability: float
    """The probability of the class; NaN for other tasks, which don't choose one output."""
    outputs: npt.NDArray[np.float64] = field(repr=False)
    """Outputs `(K,)` in the order of the model's labels: the probabilities of classes, which sum to one, the
    probability of each of several labels, or a number."""
    answer: Answer = field(repr=False)
    """What the outputs mean, for people and for programs."""

    @classmethod
    def of(cls, path: str, outputs: npt.NDArray[np.float64], task: Task) -> Prediction:
        """The prediction for an image from the outputs of a model."""
        answer = task.answer(outputs)
        return cls(path, answer.text, answer.facts.get("probability", math.nan), outputs, answer)

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """The outputs, which are probabilities for classes and for several labels."""
        return self.outputs


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
        shown = self.rows[:MOST_ROWS]
        names: list[str] = ["label", "probability"]
        cells: list[tuple[str, ...]] = [(row.label, f"{100 * row.probability:.1f} %") for row in shown]
        if any(math.isnan(row.probability) for row in shown):
            names = [*shown[0].answer.cells]
            cells = [tuple(row.answer.cells.values()) for row in shown]
        rows = [(row.path, *own) for row, own in zip(shown, cells, strict=True)]
        return predictions_html(
            ["image", *names], rows, more=len(self.rows) - len(shown), skipped=len(self.skipped)
        )
