"""The charts of a run's report: the ladder, depths, epochs, calibration, and changes of stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from regraft.evaluation.intervals.groups import group_numbers
from regraft.evaluation.intervals.shares import share_estimate
from regraft.records import Estimate
from regraft.reports.charts import Chart
from regraft.runs.reading import PredictionRow, RunFiles
from regraft.runs.records import LadderRecord, RungRow
from regraft.tasks.task import Measure

_BINS = 10


def ladder_chart(ladder: LadderRecord | None, *, floor: Estimate | None = None) -> Markup | None:
    """Validation accuracy, or what stands for it, against seconds; None for a fit without the ladder.

    Args:
        ladder: the rungs.
        floor: the share that the trivial model reaches, drawn as a line where no rung stands for it.
    """
    rows = [row for row in ladder.rows if row.accuracy] if ladder else []
    if not rows:
        return None
    if not rows[0].is_share:
        return _loss_chart(rows)
    title = Measure(rows[0].measure, None).title
    low = min(100 * (row.accuracy.low or 0) for row in rows if row.accuracy)
    if floor is not None:
        low = min(low, 100 * floor.value)
    last = max(row.elapsed_s for row in rows)
    chart = Chart(
        f"{title} on validation images against seconds since the fit began",
        "seconds since the fit began", f"validation {title}, %", (0, last * 1.03), (max(0, low - 2), 100),
    )  # fmt: skip
    if floor is not None and all(row.rung for row in rows):
        chart.line([(0, 100 * floor.value), (last * 1.03, 100 * floor.value)], "faint")
        chart.text(0.01 * last, 100 * floor.value, f"trivial model {100 * floor.value:.1f} %")
    kept = [(row.elapsed_s, 100 * row.accuracy.value) for row in rows if row.is_kept and row.accuracy]
    chart.line([*kept, (last, kept[-1][1])] if kept else [], "main", is_stepped=True)
    for row in sorted(rows, key=lambda row: row.is_kept):  # kept rungs are drawn on top
        assert row.accuracy is not None
        kind = "faint" if row.rung == 0 else "main" if row.is_kept else "tried"
        value = row.accuracy
        chart.interval(row.elapsed_s, 100 * (value.low or 0), 100 * (value.high or 1), kind)
        said = f"{row.name}: {100 * value.value:.1f} % after {row.elapsed_s:.0f} s, {row.verdict}"
        chart.dot(row.elapsed_s, 100 * value.value, kind, said)
    return chart.svg


def _loss_chart(rows: Sequence[RungRow]) -> Markup:
    """A loss on validation images against seconds."""
    known = [(row, row.accuracy) for row in rows if row.accuracy]
    title = Measure(rows[0].measure, None).title
    last = max(row.elapsed_s for row in rows)
    chart = Chart(
        f"{title} on validation images against seconds since the fit began",
        "seconds since the fit began", f"validation {title}", (0, last * 1.03),
        (0, 1.03 * max(one.high or one.value for _, one in known)),
    )  # fmt: skip
    kept = [(row.elapsed_s, one.value) for row, one in known if row.is_kept]
    chart.line([*kept, (last, kept[-1][1])] if kept else [], "main", is_stepped=True)
    for row, one in sorted(known, key=lambda pair: pair[0].is_kept):
        kind = "faint" if row.rung == 0 else "main" if row.is_kept else "tried"
        chart.interval(row.elapsed_s, one.low or one.value, one.high or one.value, kind)
        chart.dot(row.elapsed_s, one.value, kind, f"{row.name}: {one.value:.3g}, {row.verdict}")
    return chart.svg


def scatter_chart(judged: Sequence[PredictionRow]) -> Markup:
    """Predicted numbers against true ones."""
    pairs = [(float(row.label), float(row.predicted)) for row in judged]
    ends = (min(map(min, pairs)), max(map(max, pairs)))
    chart = Chart(
        "Predicted numbers against true ones", "true number", "predicted number", ends, ends,
        width=460, height=380,
    )  # fmt: skip
    chart.line([(ends[0], ends[0]), (ends[1], ends[1])], "faint")
    for row, (true, predicted) in zip(judged, pairs, strict=True):
        chart.dot(true, predicted, "main", f"{row.path}: {predicted:.4g}, true {true:.4g}", radius=3)
    return chart.svg


def depth_chart(files: RunFiles) -> Markup | None:
    """Accuracy at each stage; None if no depth profile was measured."""
    profile = files.ladder.profile if files.ladder else None
    if profile is None:
        return None
    stages = profile.stages
    known: list[Estimate] = [one for stage in stages for one in (stage.least_squares, stage.svm) if one]
    low = min(100 * (one.low or 0) for one in known)
    chart = Chart(
        f"{profile.title[:1].upper()}{profile.title[1:]} of heads at each depth of the network",
        "stage", f"cross-validated {profile.title}, %",
        (-0.3, len(stages) - 0.7), (max(0, low - 2), 100), height=330,
        x_names=[stage.stage for stage in stages],
    )  # fmt: skip
    everywhere = [(place, stage.least_squares) for place, stage in enumerate(stages)]
    near = [(place, stage.svm) for place, stage in enumerate(stages) if stage.svm is not None]
    chart.line([(place - 0.06, 100 * value.value) for place, value in everywhere], "main")
    for kind, shift, what, values in (
        ("main", -0.06, "least-squares SVM", everywhere),
        ("second", 0.06, "SVM", near),
    ):
        for place, value in values:
            chart.interval(place + shift, 100 * (value.low or 0), 100 * (value.high or 1), kind)
            said = f"{stages[place].stage}, {what}: {100 * value.value:.1f} %"
            chart.dot(place + shift, 100 * value.value, kind, said, radius=3)
    return chart.svg


def training_charts(epochs: Sequence[dict[str, Any]]) -> list[tuple[str, Markup]]:
    """Charts of loss, accuracy and learning rates over epochs, with their captions."""
    if len(epochs) < 2:
        return []
    places = list(range(1, len(epochs) + 1))
    charts = []
    for what, factor, label in (("loss", 1.0, "loss, nats"), _measured(epochs[0])):
        series = {
            kind: [
                (place, factor * row[f"{side}_{what}"])
                for place, row in zip(places, epochs, strict=True)
                if row.get(f"{side}_{what}") is not None
            ]
            for side, kind in (("train", "faint"), ("validation", "main"))
        }
        values = [value for points in series.values() for _, value in points]
        if not values:
            continue
        title = Measure(what, None).title
        chart = Chart(
            f"{title} over epochs", "epoch", label, (1, len(epochs)), (min(0, *values) if what == "loss" else
            min(values), max(values)), height=240,
        )  # fmt: skip
        for kind, points in series.items():
            chart.line(points, kind)
            for place, value in points:
                is_best = kind == "main" and epochs[place - 1].get("is_best")
                chart.dot(place, value, kind, f"epoch {place}: {value:.4g}", radius=4 if is_best else 2.5)
        charts.append((f"{title[:1].upper()}{title[1:]}: validation (line), training (dashed)", chart.svg))
    rates = [row["learning_rates"] for row in epochs]
    parts = list(rates[0])
    top = max(max(row.values()) for row in rates)
    chart = Chart(
        "learning rate over epochs", "epoch", "learning rate", (1, len(epochs)), (0, top), height=240
    )
    for part, kind in ((parts[-1], "main"), (parts[0], "second")):
        chart.line([(place, row.get(part, 0.0)) for place, row in zip(places, rates, strict=True)], kind)
    charts.append((f"Learning rate at each epoch's end: {parts[-1]} (blue), {parts[0]}", chart.svg))
    return charts


def _measured(epoch: Mapping[str, Any]) -> tuple[str, float, str]:
    """The score by which epochs were compared: its column, the factor by which it is shown, and its label."""
    start = "validation_"
    names = [name.removeprefix(start) for name in epoch if name.startswith(start)]
    name = next((one for one in names if one != "loss"), "accuracy")
    title = Measure(name, None).title
    is_share = name in ("accuracy", "balanced_accuracy", "auroc")
    return name, 100.0 if is_share else 1.0, f"{title}, %" if is_share else title


def calibration_chart(
    predictions: Sequence[PredictionRow], groups: Mapping[str, str] | None = None
) -> Markup | None:
    """Accuracy against the model's mean probability, in ten bins of equal width.

    Args:
        predictions: rows of `predictions.csv`.
        groups: the group of each image by its path; without one, an image is a group.
    """
    if not predictions:
        return None
    sure = np.array([row.probability for row in predictions])
    rights = np.array([row.is_right for row in predictions])
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    chart = Chart(
        "Accuracy against the probability of the predicted label",
        "probability of the predicted label, %", "accuracy, %",
        (0, 100), (0, 100), width=460, height=320,
    )  # fmt: skip
    chart.line([(0, 0), (100, 100)], "faint")
    points = []
    for number in range(_BINS):
        inside = bins == number
        if inside.any():
            names = [
                (groups or {}).get(predictions[one].path, predictions[one].path)
                for one in np.flatnonzero(inside).tolist()
            ]
            value = share_estimate(rights[inside], group_numbers(names))
            at = 100 * float(sure[inside].mean())
            chart.interval(at, 100 * (value.low or 0), 100 * (value.high or 1), "main")
            said = f"{int(inside.sum())} images: probability {at:.0f} %, accuracy {100 * value.value:.0f} %"
            chart.dot(at, 100 * value.value, "main", said)
            points.append((at, 100 * value.value))
    chart.line(points, "main")
    return chart.svg


def moved_chart(rows: Sequence[dict[str, str]]) -> Markup | None:
    """How much training changed the weights and features of each stage."""
    if not rows:
        return None
    names = [row["stage"] for row in rows]
    change = [100 * float(row["relative_weight_change"]) for row in rows]
    chart = Chart(
        "How much training changed each stage", "stage", "change of weights, % of their norm",
        (-0.6, len(names) - 0.4), (0, max([*change, 1e-6])), x_names=names, height=270,
    )  # fmt: skip
    width = 0.6 * (chart.x(1) - chart.x(0)) if len(names) > 1 else 60
    for place, (name, value, row) in enumerate(zip(names, change, rows, strict=True)):
        alike = float(row["feature_similarity_cka"])
        said = f"{name}: weights changed by {value:.3g} %, feature similarity {alike:.4f} (CKA)"
        chart.column(place, value, "main" if value else "wash", said, width_px=width)
    return chart.svg
