"""How a checked data set with boxes is shown, printed as JSON, and its findings written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from regraft.cli.terminal.console import show_table
from regraft.records import Finding, Side, SkippedFile

if TYPE_CHECKING:  # it needs numpy, which --help does without
    from regraft.detection.annotations.boxes import BoxSet

_SIDES: tuple[Side, ...] = ("train", "validation", "test")
_MOST_ROWS = 40
_OF_PICTURES = frozenset({"background", "unlabelled", "ignored", "note"})
"""Findings whose count is the number of their files."""


def show_boxes(boxes: BoxSet, out: str | None) -> None:
    """Print what a data set with boxes contains: format, classes, sides, backgrounds, findings."""
    counts, labels = boxes.counts(), boxes.labels
    on = Counter(picture.side for picture in boxes.pictures)
    sides = [side for side in _SIDES if on[side]]
    print(f"layout: boxes around objects, {boxes.format} ({counted(boxes.files, 'file', 'files')})")
    pictures = Counter(label for picture in boxes.pictures for label in {box.label for box in picture.boxes})
    rows = [
        [
            label,
            f"{_total(counts, label):,}",
            f"{pictures[label]:,}",
            *(f"{counts[label, s]:,}" for s in sides),
        ]
        for label in labels
    ]
    more = len(rows) - _MOST_ROWS
    shown = rows if more <= 0 else [*rows[:_MOST_ROWS], [f"and {more:,} more", *("" for _ in rows[0][1:])]]
    split = "published split" if sides else "no published split"
    title = (
        f"{counted(counts.total(), 'box', 'boxes')} of {counted(len(labels), 'class', 'classes')} in "
        f"{counted(len(boxes.pictures), 'picture', 'pictures')}, {len(boxes.backgrounds):,} of them "
        f"backgrounds ({split})"
    )
    header = ["class", "boxes", "pictures", *(f"boxes in {side}" for side in sides)]
    show_table(title, header, shown, right=range(1, len(header)))
    if sides:
        print("pictures: " + " · ".join(f"{on[side]:,} {side}" for side in sides))
    _show_findings(boxes.findings, boxes.skipped)
    if not boxes.findings and not boxes.skipped:
        print("no problems were found")
    elif out is None:
        print("to list all of them, add --out problems.csv")


def counted(count: int, one: str, several: str) -> str:
    """A number with its noun.

    >>> counted(1, "box", "boxes"), counted(4886, "box", "boxes")
    ('1 box', '4,886 boxes')
    """
    return f"{count:,} {one if count == 1 else several}"


def _total(counts: Counter[tuple[str, Side | None]], label: str) -> int:
    return sum(counts[label, side] for side in (*_SIDES, None))


def _show_findings(findings: Sequence[Finding], skipped: Sequence[SkippedFile]) -> None:
    from regraft.detection.annotations.noticed import SUMMARIES
    from regraft.storage.tables import printable

    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.kind, SUMMARIES.get(finding.kind, finding.message)), []).append(finding)
    rows = []
    for (kind, text), found in groups.items():
        first = found[0]
        count = max(1, len(first.paths)) if len(found) == 1 and kind in _OF_PICTURES else len(found)
        shown = first.message if len(found) == 1 else text
        rows.append([kind, shown, f"{count:,}", " | ".join(first.paths[:2])])
    for reason, count in Counter(file.reason for file in skipped).most_common():
        example = next(file.path for file in skipped if file.reason == reason)
        rows.append(["skipped", reason, f"{count:,}", example])
    if rows:
        safe = [[printable(cell) for cell in row] for row in rows]
        show_table("Findings", ["kind", "what", "count", "for example"], safe, right=[2])


def boxes_record(boxes: BoxSet) -> dict[str, object]:
    """A data set with boxes as one JSON object."""
    from regraft.storage.tables import printable

    counts = boxes.counts()
    return {
        "images": len(boxes.pictures),
        "layout": f"boxes around objects, {boxes.format}",
        "format": boxes.format,
        "annotation_files": boxes.files,
        "boxes": counts.total(),
        "classes": {label: _total(counts, label) for label in boxes.labels},
        "sides": {str(side): n for side, n in Counter(p.side for p in boxes.pictures).items() if side},
        "backgrounds": [printable(picture.path) for picture in boxes.backgrounds],
        "findings": [{**asdict(f), "paths": [printable(path) for path in f.paths]} for f in boxes.findings],
        "skipped": [{"path": printable(file.path), "reason": file.reason} for file in boxes.skipped],
    }


def write_findings(out: str, findings: Iterable[Finding], skipped: Iterable[SkippedFile]) -> None:
    """Write findings and skipped files as a CSV table that is safe for spreadsheets."""
    from pathlib import Path

    from regraft.storage.files import write_atomically
    from regraft.storage.tables import csv_bytes

    rows = [(finding.kind, finding.message, " | ".join(finding.paths)) for finding in findings]
    rows += [("skipped", file.reason, file.path) for file in skipped]
    write_atomically(Path(out), csv_bytes(("kind", "message", "paths"), rows))
