"""The scores of a detector in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from regraft.cli.terminal.console import show_json, show_table
from regraft.detection.detectors.records import DetectionSheet
from regraft.detection.run_comparison import DetectorStandoff
from regraft.evaluation.detection_scores import DetectionScores
from regraft.evaluation.operating_points import OperatingPoint
from regraft.progress import duration
from regraft.records import Estimate
from regraft.storage.tables import printable

_MEASURES = (
    ("map50", "AP50 %"),
    ("map", "mAP %"),
    ("map75", "AP75 %"),
    ("map_small", "mAP of small objects %"),
    ("map_medium", "mAP of medium objects %"),
    ("map_large", "mAP of large objects %"),
)
_CLASSES = 40


def show_detection_scores(sheet: DetectionSheet) -> None:
    """The scores with their intervals, next to those of the trivial baseline, then a line for each class."""
    columns = [("test", sheet.test), ("validation", sheet.validation), ("average boxes", sheet.baseline)]
    shown = [(name, scores) for name, scores in columns if scores is not None]
    rows = [
        [title, *(_share(getattr(scores, field)) for _, scores in shown)]
        for field, title in _MEASURES
        if any(getattr(scores, field) is not None for _, scores in shown)
    ]
    header = ["", *(f"{name}, {scores.images:,} pictures" for name, scores in shown)]
    show_table("Scores with 95 % intervals", header, rows, right=range(1, len(header)))
    for name, scores in shown:
        print(f"{name}: {scores.method}")
    best = sheet.test or sheet.validation
    if best is not None:
        _show_classes(best)


def show_standoffs(rows: Sequence[DetectorStandoff], *, json_lines: bool) -> None:
    """Each run against the best one, by mean average precision on the same pictures."""
    lines = [
        {
            "run": str(row.files.folder),
            "detector": row.files.run.detector,
            "pictures": row.files.best.images,
            "map": row.files.best.map.model_dump() if row.files.best.map else None,
            "map50": row.files.best.map50.model_dump() if row.files.best.map50 else None,
            "against_best": row.against_best.model_dump() if row.against_best else None,
            "bundle_bytes": row.bundle_bytes,
            "fit_s": row.files.spent_s,
        }
        for row in rows
    ]
    if json_lines:
        show_json({"runs": lines})
        return
    header = ["run", "detector", "mAP %", "AP50 %", "mAP minus best, points", "verdict", "bundle", "fit time"]
    shown = []
    for row in rows:
        pair = row.against_best
        verdict = "the best" if pair is None else "worse" if pair.differs else "can't be told apart"
        shown.append(
            [
                printable(str(row.files.folder)),
                row.files.run.name or row.files.run.detector,
                _share(row.files.best.map),
                _share(row.files.best.map50),
                "" if pair is None else _share(pair.difference),
                verdict,
                f"{row.bundle_bytes / 1e6:.1f} MB",
                duration(row.files.spent_s),
            ]
        )
    title = f"{len(rows)} detectors on the same {rows[0].files.best.images:,} pictures"
    show_table(title, header, shown, right=[2, 3, 4, 6, 7])


def _show_classes(scores: DetectionScores) -> None:
    rows = [
        [
            printable(one.label),
            f"{one.true_boxes:,}",
            _share(one.map50),
            "–" if one.point.threshold is None else f"{one.point.threshold:.2f}",
            *_shares(one.point),
        ]
        for one in scores.classes[:_CLASSES]
    ]
    if len(scores.classes) > 1:
        rows.append(
            [
                "all",
                f"{scores.point.right + scores.point.missed:,}",
                _share(scores.map50),
                "",
                *_shares(scores.point),
            ]
        )
    header = ["class", "objects", "AP50 %", "shown from", "found %", "right %"]
    show_table("At the threshold of each class", header, rows, right=range(1, len(header)))
    print(
        "found: share of the objects with a box (recall); right: share of the boxes on an object (precision)"
    )


def _shares(point: OperatingPoint) -> tuple[str, str]:
    return _share(point.recall), _share(point.precision)


def _share(estimate: Estimate | None) -> str:
    """A share in per cent with its interval."""
    if estimate is None:
        return "–"
    value = f"{100 * estimate.value:.1f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"
