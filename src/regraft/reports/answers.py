"""What a report shows of decisions: curves of a positive class, and answers that could be withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from regraft.evaluation.intervals.groups import group_numbers
from regraft.evaluation.intervals.shares import share_estimate
from regraft.records import Estimate, Rates, Scores
from regraft.reports.charts import Chart
from regraft.runs.reading import PredictionRow
from regraft.storage.tables import printable
from regraft.tasks.classification import Classification
from regraft.tasks.task import column_of

Floats = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
_SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
_MOST_POINTS = 400
_SIZE: dict[str, Any] = {"width": 460, "height": 340}


@dataclass(frozen=True)
class Answered:
    """What is left of the answers if those below a probability are withheld."""

    least: float
    """The largest probability that an image needs for an answer."""
    share: float
    """Share of the images that get one."""
    images: int
    accuracy: Estimate


@dataclass(frozen=True)
class Decisions:
    """The curves of the positive class, and what withholding answers does."""

    ranking: Markup | None
    """Sensitivity against false alarms (ROC); None for more than two classes."""
    precision: Markup | None
    """Precision against recall; None for more than two classes."""
    answered: Markup | None
    """Accuracy against the share of images that get an answer."""
    limits: tuple[Answered, ...]


def decisions(
    scores: Scores,
    rows: Sequence[PredictionRow],
    task: Classification,
    groups: Mapping[str, str] | None = None,
) -> Decisions:
    """What a report shows of a classifier's decisions.

    Args:
        scores: the scores of the predictions.
        rows: rows of `predictions.csv`.
        task: what was predicted.
        groups: the group of each image by its path; without one, an image is a group.
    """
    if not rows:
        return Decisions(None, None, None, ())
    two = scores.two_classes
    ranking: Markup | None = None
    precision: Markup | None = None
    if two is not None and 0 < two.positives < scores.images:
        chances = np.array([float(row.cells[printable(column_of(two.positive))]) for row in rows])
        present = np.array([row.label == printable(two.positive) for row in rows])
        marks = [("at the larger probability", two.largest, "second")]
        marks += [(f"for {two.goal}", two.chosen, "main")] if two.chosen else []
        ranking = _ranking_chart(chances, present, marks)
        precision = _precision_chart(chances, present, marks)
    sure, rights = _certainty(rows, task), np.array([row.is_right for row in rows])
    limits = _limits(sure, rights, [(groups or {}).get(row.path, row.path) for row in rows])
    return Decisions(ranking, precision, _answered_chart(sure, rights, limits), limits)


def _certainty(rows: Sequence[PredictionRow], task: Classification) -> Floats:
    """The largest probability of each image; where the table lists none but the answer's, that one."""
    names = [printable(column_of(one)) for one in task.outputs]  # as they are written there
    if names[0] not in rows[0].cells:
        return np.array([row.probability for row in rows])
    return np.array([max(float(row.cells[name]) for name in names) for row in rows])


def _steps(chances: Floats, present: Bools) -> tuple[Floats, Floats]:
    """The positive and the negative images from each probability on, the highest first."""
    order = np.argsort(-chances, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(chances[order]) < 0, True))
    return np.cumsum(present[order])[ends], np.cumsum(~present[order])[ends]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    step = max(1, len(points) // _MOST_POINTS)
    return points if step == 1 else [*points[:-1:step], points[-1]]


def _ranking_chart(chances: Floats, present: Bools, marks: Sequence[tuple[str, Rates, str]]) -> Markup:
    found, alarms = _steps(chances, present)
    chart = Chart(
        "Sensitivity against false alarms at every threshold (ROC curve)",
        "false alarms (1 - specificity), %", "sensitivity, %", (0, 100), (0, 100), **_SIZE,
    )  # fmt: skip
    chart.line([(0, 0), (100, 100)], "faint")
    across, up = 100 * alarms / (~present).sum(), 100 * found / present.sum()
    points = list(zip(across.tolist(), up.tolist(), strict=True))
    chart.line(_thinned([(0.0, 0.0), *points]), "main")
    for name, rates, kind in marks:
        assert rates.sensitivity is not None
        assert rates.specificity is not None
        x, y = 100 - 100 * rates.specificity.value, 100 * rates.sensitivity.value
        said = f"{name}: sensitivity {y:.1f} %, specificity {100 - x:.1f} %"
        chart.interval(x, 100 * (rates.sensitivity.low or 0), 100 * (rates.sensitivity.high or 1), kind)
        chart.dot(x, y, kind, said, radius=5)
    return chart.svg


def _precision_chart(chances: Floats, present: Bools, marks: Sequence[tuple[str, Rates, str]]) -> Markup:
    found, alarms = _steps(chances, present)
    chart = Chart(
        "Precision against recall at every threshold",
        "recall (sensitivity), %", "precision (PPV), %", (0, 100), (0, 100), **_SIZE,
    )  # fmt: skip
    share = 100 * float(present.mean())
    chart.line([(0, share), (100, share)], "faint")
    across, up = 100 * found / present.sum(), 100 * found / (found + alarms)
    points = list(zip(across.tolist(), up.tolist(), strict=True))
    chart.line(_thinned([(0.0, points[0][1]), *points]), "main")
    for name, rates, kind in marks:
        if rates.ppv is not None and rates.sensitivity is not None:
            x, y = 100 * rates.sensitivity.value, 100 * rates.ppv.value
            chart.interval(x, 100 * (rates.ppv.low or 0), 100 * (rates.ppv.high or 1), kind)
            chart.dot(x, y, kind, f"{name}: precision {y:.1f} %, recall {x:.1f} %", radius=5)
    return chart.svg


def _limits(sure: Floats, rights: Bools, groups: Sequence[str]) -> tuple[Answered, ...]:
    """What is left at some shares of answered images; images of equal probability stay together."""
    ordered = np.sort(sure)[::-1]
    found: dict[float, Answered] = {}
    for share in _SHARES:
        least = float(ordered[max(1, round(share * len(sure))) - 1])
        chosen = np.flatnonzero(sure >= least)
        together = group_numbers([groups[one] for one in chosen.tolist()])
        accuracy = share_estimate(rights[chosen], together)
        found[least] = Answered(least, len(chosen) / len(sure), len(chosen), accuracy)
    return tuple(found.values())


def _answered_chart(sure: Floats, rights: Bools, limits: Sequence[Answered]) -> Markup:
    """The risk-coverage curve (El-Yaniv & Wiener 2010), drawn as accuracy."""
    order = np.argsort(-sure, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(sure[order]) < 0, True))
    shares = 100 * (ends + 1) / len(sure)
    accuracy = 100 * np.cumsum(rights[order])[ends] / (ends + 1)
    shown = shares >= min(5.0, float(shares[-1]))  # of fewer images, the accuracy is noise
    bounds = [100 * (one.accuracy.low or 0) for one in limits]
    low = max(0.0, min([*bounds, *accuracy[shown].tolist()]) - 2)
    chart = Chart(
        "Accuracy of the answers against the share of images that get one",
        "images that get an answer, the most certain first, %", "accuracy of the answers, %",
        (0, 100), (low, 100), **_SIZE,
    )  # fmt: skip
    points = list(zip(shares[shown].tolist(), accuracy[shown].tolist(), strict=True))
    chart.line(_thinned(points), "main")
    for one in limits:
        at, value = 100 * one.share, 100 * one.accuracy.value
        chart.interval(at, 100 * (one.accuracy.low or 0), 100 * (one.accuracy.high or 1), "main")
        said = f"{at:.0f} % get an answer, from a probability of {one.least:.3f} on: accuracy {value:.1f} %"
        chart.dot(at, value, "main", said)
    return chart.svg
