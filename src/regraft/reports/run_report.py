"""The report of a run: one page that answers how good it is, why, and where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from regraft.data.loading import LoadLimits, decode, read_file
from regraft.errors import ImageError, RegraftError
from regraft.evaluation.scores import wilson
from regraft.explanation.overlays import data_uri
from regraft.prediction.bundle import load_model
from regraft.progress import Reporter, Silent
from regraft.records import Estimate, Scores
from regraft.reports.charts import Chart
from regraft.reports.pages import write_page
from regraft.run_files import Judged, RunFiles
from regraft.storage import printable

_THUMB_PX, _THUMBS = 112, 240
_EXPLAINED = (8, 4)  # wrong and right images with heat maps
_WORST = 24
_EXAMPLES = 6
_MATRIX_MAX = 60  # classes: more make no readable matrix
_CELL_MAX = 12
_BINS = 10


@dataclass(frozen=True)
class Shown:
    """An image on the page."""

    judged: Judged
    image: str
    """A `data:` address; empty where the file is no longer at hand."""
    overlay: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix."""

    count: int
    shade: str
    images: str
    """The id of its images on the page; empty where none are shown."""


@dataclass(frozen=True)
class Gallery:
    """The images of one cell."""

    id: str
    label: str
    predicted: str
    count: int
    images: list[Shown]
    """Not more than a dozen, the surest first."""


@dataclass(frozen=True)
class Noticed:
    """What was noticed about the data, of one kind."""

    kind: str
    message: str
    count: int
    examples: list[tuple[list[str], str, str]]
    """Paths, and pictures of the first two."""


def write_report(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    explain: bool = True,
    reporter: Reporter | None = None,
) -> Path:
    """Write a run's report as one HTML page under 5 MB that opens offline; returns its path.

    Args:
        folder: a run that `regraft fit` left behind.
        out: the file to write; None means `report.html` in the run folder.
        explain: whether Grad-CAM maps are computed, which loads the network into torch.
        reporter: is told how far it is.

    Raises:
        SettingsError: no finished run, or damaged.
    """
    files, reporter = RunFiles(Path(folder)), reporter or Silent()
    thumbnails = _Thumbnails(files)
    wrong = sorted((row for row in files.judged if not row.is_right), key=lambda row: -row.probability)
    best, sheet, ladder = files.best, files.scores, files.ladder
    rungs = ladder.rows if ladder else ()
    with reporter.phase("writing the report", 1, "pages") as meter:
        confusion, cells = _confusion(best, files.judged, thumbnails)
        worst = [thumbnails.shown(row) for row in wrong[:_WORST]]
        explained = _explained(files, wrong, reporter) if explain else []
        target = write_page(
            Path(out) if out else files.folder / "report.html",
            "report.html",
            script="report.js",
            files=files,
            run=files.run,
            best=best,
            sheet=sheet,
            side="test" if sheet.test else "validation",
            name=Path(files.run.data_root.rstrip("/")).stem,
            ladder=ladder,
            classics=[row for row in rungs if row.rung == 0 and row.accuracy][1:],
            chosen=next((row for row in reversed(rungs) if row.is_kept), None),
            ladder_chart=_ladder_chart(files),
            depth_chart=_depth_chart(files),
            curves=_training_charts(files.epochs),
            confusion=confusion,
            cells=cells,
            worst=worst,
            wrong=len(wrong),
            explained=explained,
            calibration=_calibration_chart(files.judged),
            findings=_noticed(files.table("findings.csv"), thumbnails),
            skipped=files.table("skipped.csv"),
            moved=files.table("stages.csv"),
            moved_chart=_moved_chart(files.table("stages.csv")),
            spent=files.spent_s,
        )
        meter.advance()
    return target


class _Thumbnails:
    """Small pictures of a run's images, as many as the page can hold, each made once."""

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self._made: dict[str, str] = {}

    def shown(self, row: Judged) -> Shown:
        return Shown(row, self.of(row.path))

    def of(self, path: str) -> str:
        """A `data:` address; empty where the file is gone or the page is full."""
        if path not in self._made:
            self._made[path] = self._uri(path) if len(self._made) < _THUMBS else ""
        return self._made[path]

    def _uri(self, path: str) -> str:
        place = self._files.image(path)
        if place is None:
            return ""
        try:
            return data_uri(decode(read_file(place), min_side_px=_THUMB_PX).image, side_px=_THUMB_PX)
        except ImageError:
            return ""


def _confusion(
    best: Scores, judged: Sequence[Judged], thumbnails: _Thumbnails
) -> tuple[list[tuple[str, list[Cell]]], list[Gallery]]:
    """Rows of cells, and the galleries that some of them open, mistakes first."""
    labels = [printable(one.label) for one in best.classes]  # as predictions.csv spells them
    if len(labels) > _MATRIX_MAX:
        return [], []
    place = {label: number for number, label in enumerate(labels)}
    members: dict[tuple[int, int], list[Judged]] = {}
    for row in judged:
        if row.label in place and row.predicted in place:
            members.setdefault((place[row.label], place[row.predicted]), []).append(row)
    order = sorted(members, key=lambda cell: (cell[0] == cell[1], -len(members[cell])))
    galleries = []
    for true, predicted in order:
        rows = sorted(members[true, predicted], key=lambda row: -row.probability)[:_CELL_MAX]
        shown = [one for one in map(thumbnails.shown, rows) if one.image]
        if shown:
            count = len(members[true, predicted])
            name = f"cell-{true}-{predicted}"
            galleries.append(Gallery(name, labels[true], labels[predicted], count, shown))
    known = {gallery.id for gallery in galleries}
    table = []
    for number, counts in enumerate(best.confusion):
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


def _noticed(rows: Sequence[dict[str, str]], thumbnails: _Thumbnails) -> list[Noticed]:
    """Findings of one kind and message together, with a few pairs of images."""
    together: dict[tuple[str, str], list[list[str]]] = {}
    for row in rows:
        paths = [path for path in row["paths"].split(" | ") if path]
        together.setdefault((row["kind"], row["message"]), []).append(paths)
    found = []
    for (kind, message), several in together.items():
        examples = [
            (paths, thumbnails.of(paths[0]), thumbnails.of(paths[1]) if len(paths) > 1 else "")
            for paths in several[:_EXAMPLES]
            if paths
        ]
        found.append(Noticed(kind, message, len(several), examples))
    return found


def _shade(share: float, *, is_right: bool) -> str:
    level = 1 + min(3, int(share * 4)) if is_right else 1 + min(3, int(share * 10))
    return f"{'h' if is_right else 'e'}{level}"


def _explained(files: RunFiles, wrong: Sequence[Judged], reporter: Reporter) -> list[Shown]:
    """The surest mistakes and some right answers, with Grad-CAM for what was predicted."""
    right = [row for row in files.judged if row.is_right]
    chosen = [*wrong[: _EXPLAINED[0]], *right[:: max(1, len(right) // _EXPLAINED[1])][: _EXPLAINED[1]]]
    found: list[Shown] = []
    try:
        from regraft.data.loading import load_input
        from regraft.explanation.maps import heat_map
        from regraft.explanation.overlays import overlaid, picture
        from regraft.prediction.graph import ModelGraph

        model = load_model(files.folder)
        graph, labels = ModelGraph(model).eval(), [printable(label) for label in model.labels]
        with reporter.phase("explaining", len(chosen)) as meter:
            for row in chosen:
                meter.advance()
                place = files.image(row.path)
                if place is None:
                    continue
                pixels = load_input(place, model.weights.input_spec, LoadLimits())
                heat = heat_map(graph, pixels, labels.index(row.predicted), "grad-cam")
                overlay = overlaid(pixels, heat.values)
                found.append(
                    Shown(row, data_uri(picture(pixels), side_px=224), data_uri(overlay, side_px=224))
                )
    except (RegraftError, ValueError) as error:  # a report without them is still a report
        reporter.warn(f"no Grad-CAM in the report: {error}")
    return found


def _ladder_chart(files: RunFiles) -> Markup | None:
    ladder = files.ladder
    rows = [row for row in ladder.rows if row.accuracy] if ladder else []
    if not rows:
        return None
    low = min(100 * (row.accuracy.low or 0) for row in rows if row.accuracy)
    last = max(row.elapsed_s for row in rows)
    chart = Chart(
        "Accuracy on validation images against seconds since the fit began",
        "seconds since the fit began", "validation accuracy, %", (0, last * 1.03), (max(0, low - 2), 100),
    )  # fmt: skip
    kept = [(row.elapsed_s, 100 * row.accuracy.value) for row in rows if row.is_kept and row.accuracy]
    chart.line([*kept, (last, kept[-1][1])] if kept else [], "main", is_stepped=True)
    for row in sorted(rows, key=lambda row: row.is_kept):  # what is kept lies on top
        assert row.accuracy is not None
        kind = "faint" if row.rung == 0 else "main" if row.is_kept else "tried"
        value = row.accuracy
        chart.interval(row.elapsed_s, 100 * (value.low or 0), 100 * (value.high or 1), kind)
        said = f"{row.name}: {100 * value.value:.1f} % after {row.elapsed_s:.0f} s, {row.verdict}"
        chart.dot(row.elapsed_s, 100 * value.value, kind, said)
    return chart.svg


def _depth_chart(files: RunFiles) -> Markup | None:
    profile = files.ladder.profile if files.ladder else None
    if profile is None:
        return None
    stages = profile.stages
    known: list[Estimate] = [one for stage in stages for one in (stage.svm, stage.logistic) if one]
    low = min(100 * (one.low or 0) for one in known)
    chart = Chart(
        "What each depth of the network knows about these classes", "stage", "cross-validated accuracy, %",
        (-0.3, len(stages) - 0.7), (max(0, low - 2), 100), height=330,
        x_names=[stage.stage for stage in stages],
    )  # fmt: skip
    for kind, shift, pick in (("main", -0.06, "svm"), ("second", 0.06, "logistic")):
        values = [(place, getattr(stage, pick)) for place, stage in enumerate(stages)]
        values = [(place, value) for place, value in values if value is not None]
        chart.line([(place + shift, 100 * value.value) for place, value in values], kind)
        for place, value in values:
            chart.interval(place + shift, 100 * (value.low or 0), 100 * (value.high or 1), kind)
            said = f"{stages[place].stage}, {pick}: {100 * value.value:.1f} %"
            chart.dot(place + shift, 100 * value.value, kind, said, radius=3)
    return chart.svg


def _training_charts(epochs: Sequence[dict[str, Any]]) -> list[tuple[str, Markup]]:
    """Loss and accuracy over epochs, and the learning rate that each part had."""
    if len(epochs) < 2:
        return []
    places = list(range(1, len(epochs) + 1))
    charts = []
    for what, factor, label in (("loss", 1.0, "loss, nats"), ("accuracy", 100.0, "accuracy, %")):
        series = {
            kind: [
                (place, factor * row[f"{side}_{what}"])
                for place, row in zip(places, epochs, strict=True)
                if row.get(f"{side}_{what}") is not None
            ]
            for side, kind in (("train", "faint"), ("validation", "main"))
        }
        values = [value for points in series.values() for _, value in points]
        chart = Chart(
            f"{what} over epochs", "epoch", label, (1, len(epochs)), (min(0, *values) if what == "loss" else
            min(values), max(values)), height=240,
        )  # fmt: skip
        for kind, points in series.items():
            chart.line(points, kind)
            for place, value in points:
                is_best = kind == "main" and epochs[place - 1].get("is_best")
                chart.dot(place, value, kind, f"epoch {place}: {value:.4g}", radius=4 if is_best else 2.5)
        charts.append((f"{what.capitalize()}: validation (line), training (dashed)", chart.svg))
    rates = [row["learning_rates"] for row in epochs]
    parts = list(rates[0])
    top = max(max(row.values()) for row in rates)
    chart = Chart(
        "learning rate over epochs", "epoch", "learning rate", (1, len(epochs)), (0, top), height=240
    )
    for part, kind in ((parts[-1], "main"), (parts[0], "second")):
        chart.line([(place, row.get(part, 0.0)) for place, row in zip(places, rates, strict=True)], kind)
    charts.append((f"Learning rate at each epoch's end: {parts[-1]} (first colour), {parts[0]}", chart.svg))
    return charts


def _calibration_chart(judged: Sequence[Judged]) -> Markup | None:
    """How often the model is right against how sure it is, in ten bins of equal width."""
    if not judged:
        return None
    sure = np.array([row.probability for row in judged])
    rights = np.array([row.is_right for row in judged])
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    chart = Chart(
        "How often the model is right against how sure it is",
        "how sure it is, %", "how often it is right, %",
        (0, 100), (0, 100), width=460, height=320,
    )  # fmt: skip
    chart.line([(0, 0), (100, 100)], "faint")
    points = []
    for number in range(_BINS):
        inside = bins == number
        if inside.any():
            value = wilson(int(rights[inside].sum()), int(inside.sum()))
            at = 100 * float(sure[inside].mean())
            chart.interval(at, 100 * (value.low or 0), 100 * (value.high or 1), "main")
            said = f"{int(inside.sum())} images, {at:.0f} % sure on average, {100 * value.value:.0f} % right"
            chart.dot(at, 100 * value.value, "main", said)
            points.append((at, 100 * value.value))
    chart.line(points, "main")
    return chart.svg


def _moved_chart(rows: Sequence[dict[str, str]]) -> Markup | None:
    """How far each stage's weights went, and how much its features changed."""
    if not rows:
        return None
    names = [row["stage"] for row in rows]
    change = [100 * float(row["relative_weight_change"]) for row in rows]
    chart = Chart(
        "How far training moved each stage", "stage", "weights moved, % of their norm",
        (-0.6, len(names) - 0.4), (0, max([*change, 1e-6])), x_names=names, height=270,
    )  # fmt: skip
    width = 0.6 * (chart.x(1) - chart.x(0)) if len(names) > 1 else 60
    for place, (name, value, row) in enumerate(zip(names, change, rows, strict=True)):
        alike = float(row["feature_similarity_cka"])
        said = f"{name}: weights moved {value:.3g} %, features alike {alike:.4f} (CKA)"
        chart.column(place, value, "main" if value else "wash", said, width_px=width)
    return chart.svg
