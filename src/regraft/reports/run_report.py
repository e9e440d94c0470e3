"""The report of a run: one page that shows how good the model is, why, and where it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.detection.detectors.bundle import is_detector
from regraft.errors import RegraftError
from regraft.explanation.overlays import data_uri
from regraft.explanation.pictures import Pictures
from regraft.prediction.bundle import load_bundle
from regraft.progress import Reporter, Silent
from regraft.records import Scores, TaskName
from regraft.reports.answers import decisions
from regraft.reports.classes.many_classes import confused_pairs, listed_classes
from regraft.reports.detection_report import detection_report
from regraft.reports.framings import seen_images
from regraft.reports.noticed import Thumbnails, noticed
from regraft.reports.pages import write_page
from regraft.reports.run_charts import (
    calibration_chart,
    depth_chart,
    ladder_chart,
    moved_chart,
    scatter_chart,
    training_charts,
)
from regraft.runs.reading import PredictionRow, RunFiles
from regraft.storage.tables import printable
from regraft.tasks.classification import Classification
from regraft.tasks.groups import group_remark
from regraft.tasks.multilabel_scores import MultilabelScores
from regraft.tasks.score_sheet import measures
from regraft.tasks.task import Measure

_EXPLAINED = (8, 4)  # wrong and right images with heat maps
_WORST = 24
_MATRIX_MAX = 60  # a matrix of more classes can't be read
_CELL_MAX = 12
_LABELS = 100  # rows of labels; of more, those with the lowest average precision are shown


Section = Callable[[RunFiles, Pictures, Thumbnails, bool, Reporter], dict[str, Any]]


@dataclass(frozen=True)
class Shown:
    """An image on the page."""

    judged: PredictionRow
    image: str
    """A `data:` address; empty if the file can't be read."""
    overlay: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix."""

    count: int
    shade: str
    images: str
    """Id of the section with its images; empty if none are shown."""


@dataclass(frozen=True)
class Gallery:
    """The images of one cell."""

    id: str
    label: str
    predicted: str
    count: int
    images: list[Shown]
    """At most twelve images, the most probable first."""


def write_report(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    explain: bool = True,
    data: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Path:
    """Write a run's report as one HTML page under 5 MB that opens offline; returns its path.

    Args:
        folder: a run that `regraft fit` left behind.
        out: the file to write; None means `report.html` in the run folder.
        explain: whether Grad-CAM maps are computed, which loads the network into torch.
        data: the folder in which the run's images are now; None means that they were not moved.
        reporter: receives progress.

    Raises:
        SettingsError: the run is not finished, or it is damaged.
    """
    reporter = reporter or Silent()
    if is_detector(Path(folder)):
        page, moved = Path(out) if out else None, Path(data) if data else None
        return detection_report(Path(folder), reporter=reporter, out=page, data=moved)
    files = RunFiles(Path(folder), Path(data) if data else None)
    pictures = Pictures(files)
    thumbnails = Thumbnails(pictures)
    best, sheet, ladder = files.best, files.scores, files.ladder
    rungs = ladder.rows if ladder else ()
    listed = measures(best)
    with reporter.phase("writing the report", 1, "pages") as meter:
        section = SECTIONS[files.task.name](files, pictures, thumbnails, explain, reporter)
        findings = noticed(files.table("findings.csv"), thumbnails)
        target = write_page(
            Path(out) if out else files.folder / "report.html",
            "report.html",
            script="report.js",
            files=files,
            run=files.run,
            best=best,
            sheet=sheet,
            side="test" if sheet.test else "validation",
            name=Path(files.run.data_root.rstrip("/")).stem or files.run.data_root,
            ladder=ladder,
            classics=[row for row in rungs if row.rung == 0 and row.accuracy][1:],
            chosen=next((row for row in reversed(rungs) if row.is_kept), None),
            ladder_chart=ladder_chart(ladder),
            seen=seen_images(files, pictures),
            depth_chart=depth_chart(files),
            curves=training_charts(files.epochs),
            findings=findings,
            missing=pictures.remark,
            skipped=files.table("skipped.csv"),
            moved=files.table("stages.csv"),
            moved_chart=moved_chart(files.table("stages.csv")),
            spent=files.spent_s,
            task=files.task.name,
            predicts=files.task.summary,
            measures=listed,
            headline=listed[0].text,
            headline_name=listed[0].title,
            groups=_groups(best.groups),
            remark=group_remark(best),
            baseline=measures(sheet.baseline)[0] if sheet.baseline else None,
            baseline_name=files.task.baseline_name,
            ladder_measure=Measure(rungs[0].measure, None).title if rungs else "accuracy",
            **section,
        )
        meter.advance()
    if pictures.remark:
        reporter.warn(pictures.remark)
    return target


def _groups(count: int | None) -> str:
    return "" if count is None else f"by group ({count:,} {'group' if count == 1 else 'groups'})"


def _classification(
    files: RunFiles, pictures: Pictures, thumbnails: Thumbnails, explain: bool, reporter: Reporter
) -> dict[str, Any]:
    """The confusion matrix, mistakes, heat maps, classes and the calibration."""
    best, task = files.best, files.task
    assert isinstance(best, Scores)
    assert isinstance(task, Classification)
    wrong = sorted((row for row in files.predictions if not row.is_right), key=lambda row: -row.probability)
    confusion, cells = _confusion(best, files.predictions, thumbnails)
    worst = [_shown(row, thumbnails) for row in wrong[:_WORST]]
    explained = _explained(files, pictures, wrong, reporter) if explain else []
    looks = [("looks", "where it looks")] if explained else []
    found = [("positive", "positive class")] if best.two_classes else []
    return {
        "links": [
            *found, ("confusion", "confusion"), ("mistakes", "mistakes"), *looks,
            ("classes", "classes"), ("answered", "withheld answers"), ("calibration", "calibration"),
        ],
        "decided": decisions(best, files.predictions, task, files.groups),
        "reject_below": task.reject_below,
        "confusion": confusion,
        "cells": cells,
        "pairs": confused_pairs(best),
        "classes": listed_classes(best),
        "worst": worst,
        "wrong": len(wrong),
        "explained": explained,
        "calibration": calibration_chart(files.predictions, files.groups),
    }  # fmt: skip


def _multilabel(
    files: RunFiles, pictures: Pictures, thumbnails: Thumbnails, explain: bool, reporter: Reporter
) -> dict[str, Any]:
    """A row for each label, and the worst predictions."""
    del pictures, explain, reporter
    best = files.best
    assert isinstance(best, MultilabelScores)
    rows = sorted(best.labels, key=lambda one: one.average_precision.value if one.average_precision else 2)
    return {
        "links": [("labels", "labels"), ("mistakes", "worst predictions")],
        "rows": list(best.labels) if len(best.labels) <= _LABELS else rows[:_LABELS],
        "worst": _worst(files, thumbnails),
    }


def _regression(
    files: RunFiles, pictures: Pictures, thumbnails: Thumbnails, explain: bool, reporter: Reporter
) -> dict[str, Any]:
    """A scatter plot, and the worst predictions."""
    del pictures, explain, reporter
    return {
        "links": [("scatter", "predicted and true"), ("mistakes", "worst predictions")],
        "scatter": scatter_chart(files.predictions),
        "worst": _worst(files, thumbnails),
    }


def _worst(files: RunFiles, thumbnails: Thumbnails) -> list[Shown]:
    ordered = sorted(files.predictions, key=lambda row: row.goodness)
    return [_shown(row, thumbnails) for row in ordered[:_WORST]]


def _shown(row: PredictionRow, thumbnails: Thumbnails) -> Shown:
    return Shown(row, thumbnails.of(row.path))


SECTIONS: dict[TaskName, Section] = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
}
"""The values of `templates/sections/NAME.html`: what a page shows of one task only."""


def _confusion(
    best: Scores, judged: Sequence[PredictionRow], thumbnails: Thumbnails
) -> tuple[list[tuple[str, list[Cell]]], list[Gallery]]:
    """The rows of the confusion matrix, and the galleries of its cells, mistakes first."""
    labels = [printable(one.label) for one in best.classes]  # as they are written in predictions.csv
    if len(labels) > _MATRIX_MAX:
        return [], []
    place = {label: number for number, label in enumerate(labels)}
    members: dict[tuple[int, int], list[PredictionRow]] = {}
    for row in judged:
        if row.label in place and row.predicted in place:
            members.setdefault((place[row.label], place[row.predicted]), []).append(row)
    order = sorted(members, key=lambda cell: (cell[0] == cell[1], -len(members[cell])))
    galleries = []
    for true, predicted in order:
        rows = sorted(members[true, predicted], key=lambda row: -row.probability)[:_CELL_MAX]
        shown = [one for one in (_shown(row, thumbnails) for row in rows) if one.image]
        if shown:
            count = len(members[true, predicted])
            name = f"cell-{true}-{predicted}"
            galleries.append(Gallery(name, labels[true], labels[predicted], count, shown))
    known = {gallery.id for gallery in galleries}
    table = []
    for number, counts in enumerate(answered_matrix(best)):
        total = max(1, sum(counts))
        cells = [
            Cell(
                count,
                _shade(count / total, is_right=number == other) if count else "zero",
                name if (name := f"cell-{number}-{other}") in known else "",
            )
            for other, count in enumerate(counts)
        ]
        table.append((labels[number], cells))
    return table, galleries


def answered_matrix(best: Scores) -> tuple[tuple[int, ...], ...]:
    """The confusion matrix of the answers that are given: at the threshold, if one was chosen."""
    two = best.two_classes
    if two is None or two.chosen is None:
        return best.confusion
    one = two.chosen
    rows = ((one.passed, one.false_alarms), (one.missed, one.found))
    is_first = best.classes[0].label == two.positive
    return tuple(row[::-1] for row in rows[::-1]) if is_first else rows


def _shade(share: float, *, is_right: bool) -> str:
    level = 1 + min(3, int(share * 4)) if is_right else 1 + min(3, int(share * 10))
    return f"{'h' if is_right else 'e'}{level}"


def _explained(
    files: RunFiles, pictures: Pictures, wrong: Sequence[PredictionRow], reporter: Reporter
) -> list[Shown]:
    """The most confident mistakes and some correct images, with Grad-CAM of the predicted label."""
    right = [row for row in files.predictions if row.is_right]
    chosen = [*wrong[: _EXPLAINED[0]], *right[:: max(1, len(right) // _EXPLAINED[1])][: _EXPLAINED[1]]]
    found: list[Shown] = []
    try:
        from regraft.explanation.maps import heat_map
        from regraft.explanation.overlays import overlaid, picture
        from regraft.prediction.graph import ModelGraph

        model = load_bundle(files.folder)
        graph, labels = ModelGraph(model).eval(), [printable(label) for label in model.labels]
        with reporter.phase("explaining", len(chosen)) as meter:
            for row in chosen:
                meter.advance()
                pixels = pictures.pixels(row.path, model.weights.input_spec)
                if pixels is None:
                    continue
                heat = heat_map(graph, pixels, labels.index(row.predicted), "grad-cam")
                overlay = overlaid(pixels, heat.values)
                found.append(
                    Shown(row, data_uri(picture(pixels), side_px=224), data_uri(overlay, side_px=224))
                )
    except (RegraftError, ValueError) as error:  # the report is still useful without them
        reporter.warn(f"the report has no Grad-CAM maps: {error}")
    return found
