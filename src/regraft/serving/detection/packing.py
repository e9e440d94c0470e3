"""A detector's package, made from its run or bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regraft.detection.detectors.bundle import load_detector
from regraft.detection.detectors.detector import Detector
from regraft.detection.graph.writing import detect_graph
from regraft.detection.results.colours import styles_of
from regraft.evaluation.detection_scores import DetectionScores
from regraft.prediction.onnx_graph import saved
from regraft.serving.detection.package import DetectorFacts, write_detector
from regraft.storage.tables import printable
from regraft.tasks.task import Measure
from regraft.version import VERSION


def pack_detector(run: Path, folder: Path) -> None:
    """Write the package of a detector; without its run, its scores are not known."""
    detector = load_detector(run)
    record = DetectorFacts(
        labels=tuple(printable(label) for label in detector.labels),
        thresholds=detector.thresholds,
        input_spec=detector.weights.input_spec,
        facts=facts_of(detector),
    )
    write_detector(folder, graph=saved(detect_graph(detector)), record=record)


def facts_of(detector: Detector) -> dict[str, Any]:
    """The answer of `/model`; None stands for what is not known."""
    labels = [printable(label) for label in detector.labels]
    height, width, channels = detector.weights.input_spec.shape
    sheet = detector.scores
    best = (sheet.test or sheet.validation) if sheet else None
    return {
        "task": detector.task,
        "labels": labels,
        "thresholds": list(detector.thresholds),
        "canvas": {"width": width, "height": height, "channels": channels},
        "network": detector.weights.network,
        "detector": detector.finder.kind,
        **_scored(best, sheet.baseline if sheet else None),
        "judged_on": f"{best.images} pictures, {best.method}" if best else None,
        "colours": [{"colour": style.colour, "dashes": style.dashes} for style in styles_of(labels).values()],
        "licence": detector.weights.source.licence,
        "lineage": [printable(one) for one in detector.lineage],
        "regraft_version": VERSION,
    }


def _scored(best: DetectionScores | None, baseline: DetectionScores | None) -> dict[str, Any]:
    """The scores with their intervals, and the most important one in words for people."""
    estimates = {
        "map": best.map if best else None,
        "map50": best.map50 if best else None,
        "map75": best.map75 if best else None,
        "precision": best.point.precision if best else None,
        "recall": best.point.recall if best else None,
        "f1": best.point.f1 if best else None,
    }
    headline = Measure.of("map50", estimates["map50"], best.images) if best and best.map50 else None
    return {
        **{name: one.model_dump(mode="json") if one else None for name, one in estimates.items()},
        "baseline": baseline.map50.value if baseline and baseline.map50 else None,
        "score": f"{headline.title} is {headline.text}" if headline else None,
    }
