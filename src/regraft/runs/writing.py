"""The folder that a fit writes: what was done, how good the model is, and the model itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from regraft.data.findings.image_set import Images
from regraft.heads.dataset import Evaluation, Outputs
from regraft.outputs.plots import Axes, point_plot
from regraft.prediction.model import Model
from regraft.records import Estimate, Scores, Split
from regraft.runs.records import LadderRecord, Run
from regraft.storage.files import stream_atomically, write_atomically, write_json
from regraft.storage.tables import csv_blocks, csv_bytes
from regraft.tasks.score_sheet import ScoreSheet, measures
from regraft.tasks.task import Measure, Task
from regraft.training.history import History

_OPTIONAL = (
    "metrics.jsonl",
    "metrics.csv",
    "stages.csv",
    "ladder.json",
    "ladder.csv",
    "ladder.svg",
    "report.html",
    *("boxes.csv", "detections.csv", "pictures.csv", "suspects.csv", "thresholds.csv"),  # of a detector
)


def write_run(
    folder: Path,
    *,
    run: Run,
    model: Model,
    images: Images,
    split: Split,
    evaluation: Evaluation,
    history: History | None = None,
    ladder: LadderRecord | None = None,
) -> None:
    """Write all files of a run; `run.json` is written last, so a run without it is unfinished.

    Args:
        folder: the run folder.
        run: what was done.
        model: the model, which has scores.
        images: what the scan found, for the lists of skipped files and findings.
        split: which images trained, validated and tested.
        evaluation: the predictions from which the scores were computed.
        history: the training's history, if there was a training.
        ladder: the rungs that were tried, if there was a ladder.
    """
    assert model.scores is not None
    (folder / "run.json").unlink(missing_ok=True)  # the folder may now contain files of two fits
    model.save(folder / "bundle")
    write_json(folder / "split.json", split.model_dump(mode="json", exclude={"rows", "history"}))
    write_split(folder / "split.csv", split)
    write_skipped(folder / "skipped.csv", images)
    findings: list[Sequence[Any]] = [(f.kind, f.message, " | ".join(f.paths)) for f in images.findings]
    write_atomically(folder / "findings.csv", csv_bytes(("kind", "message", "paths"), findings))
    write_predictions(folder / "predictions.csv", model.task, split, evaluation.outputs)
    write_scores(folder, model.scores)
    run.plan.save(folder / "plan.toml")
    for name in _OPTIONAL:  # left by an earlier run or rung in this folder
        (folder / name).unlink(missing_ok=True)
    if history is not None:
        history.write(folder)
    if ladder is not None:
        write_ladder(folder, ladder)
    write_json(folder / "run.json", run.model_dump(mode="json"))


def write_ladder(folder: Path, ladder: LadderRecord) -> None:
    """Write `ladder.json` and `ladder.csv`, with a row for each rung that was tried."""
    write_json(folder / "ladder.json", ladder.model_dump(mode="json"))
    header = (
        "rung",
        "name",
        next((row.measure for row in ladder.rows if row.accuracy is not None), "accuracy"),
        "low",
        "high",
        "images",
        "predicted_s",
        "took_s",
        "elapsed_s",
        "kept",
        "verdict",
    )
    rows: list[Sequence[Any]] = [
        (
            row.rung, row.name, *_bounds(row.accuracy),
            row.images, row.predicted_s, row.took_s, row.elapsed_s, row.is_kept, row.verdict,
        )
        for row in ladder.rows
    ]  # fmt: skip
    write_atomically(folder / "ladder.csv", csv_bytes(header, rows))


def draw_ladder(folder: Path, ladder: LadderRecord) -> Path:
    """Draw `ladder.svg`: accuracy on validation images over the seconds since the fit began."""
    groups: dict[str, list[tuple[float, float, str]]] = {"kept": [], "tried": [], "baseline": []}
    measure = next((row.measure for row in ladder.rows if row.accuracy is not None), "accuracy")
    is_share = measure in ("accuracy", "balanced_accuracy", "auroc")
    factor, unit = (100, ", %") if is_share else (1, "")
    for row in ladder.rows:
        if row.accuracy is not None:
            group = "baseline" if row.rung == 0 else "kept" if row.is_kept else "tried"
            name = row.name if row.rung == 0 else str(row.rung)  # the names of rungs would overlap
            groups[group].append((row.elapsed_s, factor * row.accuracy.value, name))
    shown = {name: points for name, points in groups.items() if points}
    what = Measure(measure, None).title
    title = f"{what[:1].upper()}{what[1:]} of the ladder's rungs over time (numbers as in ladder.csv)"
    axes = Axes(title, "seconds since the fit began", f"validation {what}{unit}")
    return point_plot(folder / "ladder.svg", axes, shown, joined=("kept",), is_stepped=True)


def _bounds(estimate: Estimate | None) -> tuple[Any, ...]:
    return (estimate.value, estimate.low, estimate.high) if estimate else ("", "", "")


def write_split(path: Path, split: Split) -> None:
    """Write the table of the images, with the side and the group of each."""
    rows = ((row.path, row.label, row.side, row.group, row.sha256) for row in split.rows)
    stream_atomically(path, csv_blocks(("path", "label", "side", "group", "sha256"), rows))


def write_skipped(path: Path, images: Images) -> None:
    """Write the list of files that were not used, with the reasons."""
    rows = [(file.path, file.reason) for file in images.skipped]
    write_atomically(path, csv_bytes(("path", "reason"), rows))


def write_predictions(path: Path, task: Task, split: Split, outputs: Outputs) -> None:
    """Write the table of the predictions from which the scores were computed."""

    def rows() -> Iterator[Sequence[Any]]:
        for number, output in zip(outputs.rows, outputs.values, strict=True):
            place = split.rows[number]
            yield place.path, place.side, place.label, *task.row(output)

    stream_atomically(path, csv_blocks(["path", "side", "label", *task.columns], rows()))


def write_scores(folder: Path, sheet: ScoreSheet) -> None:
    """Write `scores.json`, `scores.csv` (a row for each measure and class) and `confusion.csv`.

    With more than 100 classes, `confusion.csv` has a row for each pair of classes that occurs.
    """
    write_json(folder / "scores.json", sheet.model_dump(mode="json"))
    rows: list[Sequence[Any]] = []
    for name in ("test", "validation", "baseline"):
        scores = getattr(sheet, name)
        if scores is None:
            continue
        for one in measures(scores):
            rows.append((name, one.name, one.output, one.value, one.low, one.high, one.images))
    header = ("set", "measure", "class", "value", "low", "high", "images")
    write_atomically(folder / "scores.csv", csv_bytes(header, rows))
    best = sheet.test or sheet.validation
    if isinstance(best, Scores):
        names = [one.label for one in best.classes]
        heads: tuple[str, ...] = ("true", "predicted", "images")
        table: list[Sequence[Any]] = [(names[a], names[b], count) for a, b, count in best.cells]
        if best.confusion:
            heads = ("true \\ predicted", *names)
            table = [(name, *counts) for name, counts in zip(names, best.confusion, strict=True)]
        write_atomically(folder / "confusion.csv", csv_bytes(heads, table))
