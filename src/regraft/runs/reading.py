"""A finished run, read from its folder: everything that a report or a list of runs shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from regraft.prediction.bundle import read_bundle_record
from regraft.runs.records import Run
from regraft.runs.run_folder import RunFolder
from regraft.storage.tables import unguarded
from regraft.tasks.score_sheet import AnyScores, ScoreSheet, measures
from regraft.tasks.task import Measure, Task


@dataclass(frozen=True)
class PredictionRow:
    """One line of `predictions.csv`."""

    path: str
    """Path relative to the data set's root."""
    side: str
    label: str
    predicted: str
    probability: float
    """The probability of the predicted label; NaN in tasks other than classification."""
    goodness: float
    """How good the prediction is, larger is better; for classes, 1 if it is right."""
    cells: Mapping[str, str]
    """All columns, by their names."""

    @property
    def is_right(self) -> bool:
        """Whether the most probable label is the true one."""
        return self.label == self.predicted


@dataclass(frozen=True)
class RunFiles(RunFolder):
    """The contents of the folder that the fit of a classifier or of a regression left."""

    @property
    def data_root(self) -> str:
        return self.run.data_root

    @cached_property
    def run(self) -> Run:
        """What was done."""
        return self.record("run.json", Run)

    @cached_property
    def scores(self) -> ScoreSheet:
        """The run's scores."""
        return self.record("scores.json", ScoreSheet)

    @property
    def best(self) -> AnyScores:
        """The scores on the test images if there are any, otherwise on the validation images."""
        found = self.scores.test or self.scores.validation
        assert found is not None
        return found

    @property
    def headline(self) -> Measure:
        """The most important of the best scores: for classification, the accuracy."""
        return measures(self.best)[0]

    @cached_property
    def predictions(self) -> list[PredictionRow]:
        """The predictions from which the scores were computed."""
        lines = [
            {unguarded(name): unguarded(cell) for name, cell in row.items()}
            for row in self.table("predictions.csv")
        ]
        return [
            PredictionRow(
                row["path"], row["side"], row["label"], row["predicted"],
                float(row.get("probability", "nan")),
                self.task.goodness_of(row), row,
            )
            for row in lines
        ]  # fmt: skip

    @cached_property
    def task(self) -> Task:
        """What the labels of the run mean.

        Raises:
            BundleError: the run's model is missing or damaged.
        """
        return read_bundle_record(self.folder / "bundle").meaning


def runs_below(folder: Path) -> Iterator[RunFiles]:
    """The finished runs in a folder, at most two levels deep."""
    for place in sorted({*folder.glob("run.json"), *folder.glob("*/run.json"), *folder.glob("*/*/run.json")}):
        yield RunFiles(place.parent)
