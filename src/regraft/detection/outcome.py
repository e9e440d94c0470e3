"""What a fit of a detector gives: the detector, its scores, and the rows of its run's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regraft.detection.contenders import Contender
from regraft.detection.dataset import BoxedDataset
from regraft.detection.detectors.calibration import Calibration, fit_calibration
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.records import DetectionSheet
from regraft.detection.detectors.run_tables import ThresholdRow
from regraft.detection.detectors.thresholds import chosen_thresholds, goal_sheet
from regraft.detection.maps.found import Found
from regraft.detection.maps.judging import matched
from regraft.detection.maps.scenes import Scene
from regraft.detection.solved.baseline import METHOD, average_boxes
from regraft.evaluation.boxes import Floats
from regraft.evaluation.detection_scores import DRAWS, DetectionCurve, DetectionScores, score_detections
from regraft.evaluation.matching import Matches
from regraft.goal import Goal
from regraft.networks.weights.finding import Weights
from regraft.records import Precision
from regraft.runs.records import LadderRecord
from regraft.training.history import History


@dataclass(frozen=True)
class Judged:
    """Pictures with what was found in them, as probabilities, and the scores."""

    scenes: tuple[Scene, ...]
    found: tuple[Found, ...]
    scores: DetectionScores


@dataclass(frozen=True)
class DetectionOutcome:
    """A detector with everything that its run says."""

    dataset: BoxedDataset
    detector: Detector
    validation: Judged
    """Pictures that it was not fitted on, by which it was chosen, calibrated, and its thresholds set."""
    test: Judged | None
    thresholds: tuple[ThresholdRow, ...]
    ladder: LadderRecord
    history: History | None

    @property
    def shown(self) -> Judged:
        """The pictures whose boxes the run lists: the test pictures, or else those of validation."""
        return self.test or self.validation


def outcome_of(
    dataset: BoxedDataset,
    contender: Contender,
    ladder: LadderRecord,
    *,
    weights: Weights,
    precision: Precision,
    lineage: tuple[str, ...],
    folder: Path | None,
    goal: Goal | None = None,
    curve: DetectionCurve | None = None,
    test: tuple[Sequence[Scene], Sequence[Found]] | None = None,
    draws: int = DRAWS,
) -> DetectionOutcome:
    """Calibrate a contender, choose its thresholds, and score it.

    Args:
        dataset: the data set.
        contender: the contender.
        ladder: the table so far.
        weights: the network.
        precision: arithmetic of the network.
        lineage: the origin of the weights.
        folder: where the run is written; None for none.
        goal: what each threshold must reach; None means the largest F1.
        curve: the grid's learning curve.
        test: the test pictures and what was found there, once, at the end.
        draws: number of bootstrap draws of the intervals.
    """
    classes, seed = len(dataset.labels), dataset.seed
    calibration = fit_calibration(contender.matches(classes))
    found = tuple(calibration.of(one) for one in contender.found)
    matches = matched(found, contender.scenes, classes)
    thresholds = chosen_thresholds(matches, goal)
    validation = Judged(
        contender.scenes, found, _scored(matches, dataset.labels, thresholds, contender.method, seed, draws)
    )
    tested = None if test is None else _tested(test, calibration, dataset, thresholds, draws)
    aim = goal_sheet(goal, validation.scores) if goal else None
    detector = Detector(
        dataset.labels,
        weights,
        contender.finder,
        calibration,
        tuple(float(one) for one in thresholds),
        precision,
        (*lineage, *contender.lineage),
        DetectionSheet(
            test=tested.scores if tested else None,
            validation=validation.scores,
            baseline=_baseline(dataset, (tested or validation).scenes, weights, draws),
            goal=aim,
            curve=curve,
        ),
        folder,
        str(goal) if goal else None,
    )
    reached = [one.is_reached for one in aim.classes] if aim else [None] * classes
    rows = tuple(
        ThresholdRow.of(one.label, float(threshold), one.point, goal=detector.goal or "", is_reached=met)
        for one, threshold, met in zip(validation.scores.classes, thresholds, reached, strict=True)
    )
    return DetectionOutcome(dataset, detector, validation, tested, rows, ladder, contender.history)


def _tested(
    test: tuple[Sequence[Scene], Sequence[Found]],
    calibration: Calibration,
    dataset: BoxedDataset,
    thresholds: Floats,
    draws: int,
) -> Judged | None:
    scenes, raw = test
    found = tuple(calibration.of(one) for one in raw)
    matches = matched(found, scenes, len(dataset.labels))
    method = "held-out test pictures"
    return Judged(
        tuple(scenes), found, _scored(matches, dataset.labels, thresholds, method, dataset.seed, draws)
    )


def _scored(
    matches: Matches, labels: Sequence[str], thresholds: Floats, method: str, seed: int, draws: int
) -> DetectionScores:
    return score_detections(matches, labels, thresholds, method=method, seed=seed, draws=draws)


def _baseline(
    dataset: BoxedDataset, scenes: Sequence[Scene], weights: Weights, draws: int
) -> DetectionScores | None:
    classes = len(dataset.labels)
    found = average_boxes(dataset.scenes("train", weights.input_spec), scenes, classes)
    matches = matched(found, scenes, classes)
    if not matches.is_counted[0].any():
        return None
    return _scored(matches, dataset.labels, np.full(classes, 0.5), METHOD, dataset.seed, draws)
