"""The folder of a detector's run, read: what was done, how good it is, and all tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from regraft.detection.detectors.records import DetectionRun, DetectionSheet
from regraft.detection.detectors.run_tables import (
    BOXES,
    DETECTIONS,
    PICTURES,
    SUSPECTS,
    THRESHOLDS,
    BoxRow,
    DetectionRow,
    PictureRow,
    SuspectRow,
    ThresholdRow,
)
from regraft.errors import SettingsError
from regraft.evaluation.detection_scores import DetectionScores
from regraft.runs.run_folder import RunFolder


@dataclass(frozen=True)
class DetectorFiles(RunFolder):
    """The contents of the folder that the fit of a detector left.

    Raises:
        SettingsError: the folder is not the finished run of a detector, or a file is missing or damaged;
            the message names it.
    """

    @property
    def data_root(self) -> str:
        return self.run.data_root

    @cached_property
    def run(self) -> DetectionRun:
        """What was done."""
        return self.record("run.json", DetectionRun)

    @cached_property
    def scores(self) -> DetectionSheet:
        """The run's scores."""
        return self.record("scores.json", DetectionSheet)

    @property
    def best(self) -> DetectionScores:
        """The scores on the test pictures if there are any, otherwise on the validation pictures."""
        found = self.scores.test or self.scores.validation
        if found is None:
            raise SettingsError(
                f"{self.folder / 'scores.json'} has neither test nor validation scores. Run the fit again"
            )
        return found

    @cached_property
    def pictures(self) -> list[PictureRow]:
        """Every picture of the run."""
        return PICTURES.read(self.folder)

    @cached_property
    def boxes(self) -> list[BoxRow]:
        """All true boxes that were used."""
        return BOXES.read(self.folder)

    @cached_property
    def detections(self) -> list[DetectionRow]:
        """What was found in the pictures that the scores are of."""
        return DETECTIONS.read(self.folder)

    @cached_property
    def thresholds(self) -> list[ThresholdRow]:
        """From which score on boxes of each class are shown."""
        return THRESHOLDS.read(self.folder)

    @cached_property
    def suspects(self) -> list[SuspectRow]:
        """Annotations that may be wrong; empty for a run that did not look for them."""
        return SUSPECTS.read(self.folder) if (self.folder / SUSPECTS.name).is_file() else []
