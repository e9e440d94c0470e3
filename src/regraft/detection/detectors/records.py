"""The records of a detector on disk: its scores, and the file `bundle.json` of a saved one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from regraft.detection.detectors.calibration import Calibration
from regraft.detection.detectors.finders import DetectorKind
from regraft.detection.trained.record import TrainedRecord
from regraft.evaluation.detection_scores import DetectionCurve, DetectionScores
from regraft.goal import GoalMeasure
from regraft.records import (
    Estimate,
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

FEW_PICTURES = 30
"""Scores of fewer pictures than this decide little between detectors."""


class ClassGoal(Record):
    """What the threshold of one class reaches, on the pictures that it was chosen on."""

    label: str
    threshold: float
    true_boxes: int
    """Number of objects that count."""
    reached: Estimate | None
    """The goal's measure at the threshold; None where it is not defined."""
    is_reached: bool


class GoalSheet(Record):
    """What thresholds were chosen for, and what they reach on pictures that the detector did not train on."""

    measure: GoalMeasure
    value: float
    images: int
    """Number of the pictures; test pictures are never among them."""
    classes: tuple[ClassGoal, ...]


class DetectionSheet(Record):
    """The file `scores.json` of a detector."""

    task: Literal["detection"] = "detection"
    test: DetectionScores | None
    """Scores on the test pictures; None until they are used, once, at the end."""
    validation: DetectionScores | None
    """Scores on pictures that the detector was not fitted on, by which it was chosen."""
    baseline: DetectionScores | None
    """Scores of the training pictures' average boxes, on the same pictures as the first of the others."""
    goal: GoalSheet | None = Field(None, exclude_if=lambda sheet: sheet is None)
    """What `--goal` asked of the thresholds; None means the largest F1."""
    curve: DetectionCurve | None = Field(None, exclude_if=lambda curve: curve is None)
    """The grid's learning curve; None if there were too few pictures, or no time for it."""


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
    canvas: tuple[int, int] | None = None
    """Width and height in pixels of the canvas on which pictures lie; None in runs of earlier versions."""
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
    goal: str | None = Field(None, exclude_if=lambda goal: goal is None)
    """What the thresholds were chosen for, as `recall=0.95`; None means the largest F1."""
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
