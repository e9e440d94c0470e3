"""The report of a detector's run: one page that shows what it finds, how well, and where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from regraft.detection.detectors.evaluated import Evaluated, evaluated
from regraft.detection.detectors.records import FEW_PICTURES
from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.run_tables import PictureRow, Suspicion, ThresholdRow
from regraft.evaluation.detection_scores import DetectedClass
from regraft.explanation.pictures import Pictures
from regraft.progress import Reporter
from regraft.reports.detection.balances import balances
from regraft.reports.detection.cases import Case, cases
from regraft.reports.detection.confusion import confusion
from regraft.reports.detection.curves import curves
from regraft.reports.detection.losses import MISTAKES, Loss, losses
from regraft.reports.detection.object_counts import object_counts
from regraft.reports.detection.object_sizes import by_size
from regraft.reports.detection.views import Crop, Prints, crops
from regraft.reports.detection_charts import bar, counts_chart, curve_chart, hundred, whisker
from regraft.reports.noticed import Thumbnails, noticed
from regraft.reports.pages import page
from regraft.reports.run_charts import ladder_chart
from regraft.storage.files import write_atomically
from regraft.tasks.task import Measure

MOST_BYTES = 4_900_000
"""The largest size of a page."""
_PICTURES, _CROPS, _THUMBS = 60, 24, 24
_CLASSES = 100  # rows of classes; of more, the sixty with the lowest average precision are shown
_WEAKEST = 60
_OPEN_CURVES, _OPEN_PICTURES = 12, 12  # the others are folded
_SUSPICIONS: tuple[Suspicion, ...] = ("forgotten", "not found")


@dataclass(frozen=True)
class Level:
    """How much of a page is pictures."""

    side_px: int
    quality: int
    pictures: int
    crops: int
    """Number of crops of each kind of suspect."""


LEVELS = (
    Level(560, 74, _PICTURES, _CROPS),
    Level(480, 68, _PICTURES, _CROPS),
    Level(400, 60, _PICTURES, _CROPS),
    Level(320, 52, _PICTURES, _CROPS),
    Level(280, 44, 40, 16),
    Level(240, 36, 24, 12),
    Level(160, 30, 12, 6),
    Level(160, 30, 0, 0),
)
"""What is tried, until the page is small enough."""


@dataclass(frozen=True)
class ClassRow:
    """One class in the tables of the page."""

    name: str
    scores: DetectedClass
    chosen: ThresholdRow | None
    """How its threshold was chosen; None if the run does not say."""


@dataclass(frozen=True)
class Shown:
    """A picture or a crop with its pixels."""

    image: str
    """A `data:` address; empty if the file can't be read."""
    what: Any
    """The `Case` or the `Crop`."""


@dataclass(frozen=True)
class Suspects:
    """Annotations of one kind that may be wrong."""

    kind: Suspicion
    count: int
    crops: list[Shown]


def detection_report(
    run_folder: Path, *, reporter: Reporter, out: Path | None = None, data: Path | None = None
) -> Path:
    """Write the report of a detector's run as one HTML page under 5 MB that opens offline; returns its path.

    Args:
        run_folder: the run of a detector.
        reporter: receives progress.
        out: the file to write; None means `report.html` in the run folder.
        data: the folder in which the run's pictures are now; None means that they were not moved.

    Raises:
        SettingsError: the run is not finished, or a file in it is missing or damaged; the message names it.
    """
    files = DetectorFiles(run_folder, data)
    target = out or run_folder / "report.html"
    with reporter.phase("writing the report", 2, "parts") as meter:
        run = evaluated(files)
        values = _values(files, run)
        meter.advance()
        gallery = _Gallery(files, run)
        write_atomically(target, _fitting(gallery, values))
        meter.advance()
    if gallery.pictures.remark:
        reporter.warn(gallery.pictures.remark)
    return target


class _Gallery:
    """The pictures of a page, at any level."""

    def __init__(self, files: DetectorFiles, run: Evaluated) -> None:
        self.pictures = Pictures(files)
        self._files, self._run = files, run
        self._prints = Prints(self.pictures)
        self._crops = {one: self._cropped(one) for one in _SUSPICIONS}
        self._cases: dict[int, list[Case]] = {}
        self.findings = noticed(files.table("findings.csv"), Thumbnails(self.pictures, _THUMBS))

    def values(self, level: Level) -> dict[str, Any]:
        """What the template shows of pictures."""
        if level.pictures not in self._cases:
            self._cases[level.pictures] = cases(self._run, level.pictures)
        return {
            "cases": [
                Shown(self._prints.uri(one.picture.path, level.side_px, level.quality), one)
                for one in self._cases[level.pictures]
            ],
            "suspects": [
                Suspects(kind, count, [Shown(one.uri(level.quality), one) for one in found[: level.crops]])
                for kind, (count, found) in self._crops.items()
            ],
            "findings": self.findings,
            "missing": self.pictures.remark,
        }

    def _cropped(self, kind: Suspicion) -> tuple[int, list[Crop]]:
        found = [one for one in self._files.suspects if one.kind == kind]
        rows = {row.path: row for row in self._files.pictures}
        return len(found), crops(found[:_CROPS], rows, self._files.boxes, self.pictures)


def _fitting(gallery: _Gallery, values: dict[str, Any]) -> bytes:
    """The page with the best pictures with which it is small enough."""
    text = b""
    for level in LEVELS:
        filled = page("detection.html", script="detection.js", **values, **gallery.values(level))
        text = filled.encode("utf-8", "replace")
        if len(text) <= MOST_BYTES:
            break
    return text


def _values(files: DetectorFiles, run: Evaluated) -> dict[str, Any]:
    """What the template shows, without the pictures."""
    best, sheet, ladder = files.best, files.scores, files.ladder
    rungs = ladder.rows if ladder else ()
    shown = curves(run, best)
    lost = losses(run)
    counts = object_counts(run)
    coco, thirds = by_size(run, best)
    rows = _class_rows(files, run)
    return {
        "files": files,
        "run": files.run,
        "best": best,
        "evaluated": run,
        "name": Path(files.run.data_root.rstrip("/")).stem or files.run.data_root,
        "network": str(files.run.settings.get("network") or ""),
        "side": run.side,
        "baseline": sheet.baseline,
        "curve": sheet.curve,
        "objects": int(run.is_counted.sum()),
        "is_few": len(run.pictures) < FEW_PICTURES,
        "hundred": hundred,
        "whisker": whisker,
        "ladder": ladder,
        "ladder_chart": ladder_chart(ladder, floor=sheet.baseline.map50 if sheet.baseline else None),
        "ladder_measure": Measure(rungs[0].measure, None).title if rungs else "mAP50",
        "chosen": next((row for row in reversed(rungs) if row.is_kept), None),
        "curves": [(one, curve_chart(one)) for one in shown],
        "open_curves": _OPEN_CURVES,
        "open_pictures": _OPEN_PICTURES,
        "balances": balances(run),
        "confusion": confusion(run),
        "losses": [(one, bar(_relative(one.cost, lost), "bad")) for one in lost],
        "coco": coco,
        "thirds": thirds,
        "counts": counts,
        "count_rows": counts.rows if len(counts.rows) <= _CLASSES else counts.rows[:1],
        "counts_chart": counts_chart(counts),
        "mistakes": MISTAKES,
        "settings": _flat(files.run.settings),
        "prefix": _prefix(files.pictures),
        "classes": rows,
        "goal": sheet.goal,
        "missed_goal": sum(not one.is_reached for one in sheet.goal.classes) if sheet.goal else 0,
        "skipped": files.table("skipped.csv"),
        "spent": files.spent_s,
    }


def _class_rows(files: DetectorFiles, run: Evaluated) -> list[ClassRow]:
    """All classes; of more than a hundred, the sixty that have objects and the lowest average precision."""
    chosen = {row.label: row for row in files.thresholds}
    rows = [
        ClassRow(name, scores, chosen.get(label))
        for name, label, scores in zip(run.names, run.labels, files.best.classes, strict=True)
    ]
    if len(rows) <= _CLASSES:
        return rows
    known = [(row.scores.map50.value, place) for place, row in enumerate(rows) if row.scores.map50]
    return [rows[place] for _, place in sorted(known)[:_WEAKEST]]


def _prefix(pictures: Sequence[PictureRow]) -> str:
    """The folder that all pictures are in, with its slash; empty if there is none."""
    folders = [row.path.split("/")[:-1] for row in pictures]
    shared = takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))
    return "".join(f"{names[0]}/" for names in shared)


def _flat(settings: Mapping[str, object], before: str = "") -> list[tuple[str, str]]:
    """Settings that have a value as names and texts; those of a group get its name."""
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{before}{name}.")
        elif value is not None:
            rows.append((f"{before}{name}", str(value)))
    return rows


def _relative(cost: float | None, lost: list[Loss]) -> float:
    """A cost as a share of the largest one."""
    largest = max((one.cost or 0.0 for one in lost), default=0.0)
    return (cost or 0.0) / largest if largest else 0.0
