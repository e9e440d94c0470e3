"""The records of a detector on disk: its scores, and the file `bundle.json` of a saved one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from regraft.detection.detectors.calibration import Calibration
from regraft.detection.detectors.finders import DetectorKind
from regraft.detection.trained.record import TrainedRecord
from regraft.evaluation.detection_scores import DetectionScores
from regraft.records import (
    InputSpec,
    Intensity,
    Label,
    MapLevel,
    Precision,
    Recipe,
    Record,
    Sha256,
    WeightsSource,
)


class DetectionSheet(Record):
    """The file `scores.json` of a detector."""

    task: Literal["detection"] = "detection"
    test: DetectionScores | None
    """Scores on the test pictures; None until they are used, once, at the end."""
    validation: DetectionScores | None
    """Scores on pictures that the detector was not fitted on, by which it was chosen."""
    baseline: DetectionScores | None
    """Scores of the training pictures' average boxes, on the same pictures as the first of the others."""


class DetectionRun(Record):
    """The file `run.json` of a detector: data, settings and versions of a fit. Times are in `log.jsonl`."""

    task: Literal["detection"] = "detection"
    schema_version: Literal[1] = 1
    regraft_version: str
    data_root: str
    settings: dict[str, object]
    """The settings as the user gave them; a later fit with the same settings resumes this run."""
    detector: DetectorKind
    name: str = ""
    """The rung of the ladder that was kept; empty where it has no other name than the detector."""
    split_sha256: Sha256
    weights: WeightsSource
    lineage: tuple[str, ...] = ()
    reasons: tuple[str, ...]
    """Every automatic choice and the reason for it, one sentence each."""
    versions: dict[str, str]
    intensity: Intensity | None = Field(None, exclude_if=lambda intensity: intensity is None)
    """The range of images of more than 8 bits; None if there were none."""


class DetectorRecord(Record):
    """The file `bundle.json` of a detector: everything about it except its arrays."""

    task: Literal["detection"] = "detection"
    schema_version: Literal[1] = 1
    regraft_version: str
    kind: DetectorKind
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=10_000)]
    thresholds: tuple[float, ...]
    """The probability from which on boxes of each class are shown."""
    calibration: Calibration
    levels: tuple[MapLevel, ...]
    trained: TrainedRecord | None = Field(None, exclude_if=lambda record: record is None)
    """What a trained detector is made of; None for one in closed form."""
    network: str
    recipe: Recipe
    input_spec: InputSpec
    """The network's input; its height and width are those of the canvas."""
    loader_version: int
    weights: WeightsSource
    fitted_precision: Precision
    lineage: tuple[str, ...]
    """The origin of the weights and every training since, the oldest first."""
    files: dict[str, Sha256]
    """Names of the bundle's other files, with their hashes."""
