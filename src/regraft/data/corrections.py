"""Corrections of a data set: a user's list of labels to change and images to leave out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from regraft.data.image_set import Images
from regraft.data.sources.delimited import read_delimited
from regraft.data.sources.labels import label_of
from regraft.errors import DataError, close_names
from regraft.records import Finding, ImageItem, SkippedFile
from regraft.storage.tables import printable, unguarded

_COLUMNS = ("path", "label", "suggested", "action")
_ACTIONS = ("", "keep", "relabel", "exclude")


def corrected(images: Images, table: str | Path) -> Images:
    """Apply the corrections in a CSV file with the columns path, label, suggested and action.

    The action `relabel` gives the image the label in `suggested`; `exclude` leaves the image out; `keep` or
    an empty cell changes nothing.

    Raises:
        DataError: the file can't be read, or lines in it don't fit the data set; the message lists them.
    """
    wanted = _read(Path(table))
    known = {printable(item.path): item for item in images.items}
    problems = [problem for line in wanted for problem in _problems(line, known, images.labels)]
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
        raise DataError(f"{table} doesn't fit the data set: {shown}")
    by_path = {line["path"]: line for line in wanted if line["action"] in ("relabel", "exclude")}
    items: list[ImageItem] = []
    skipped = list(images.skipped)
    for item in images.items:
        line = by_path.get(printable(item.path))
        if line is None:
            items.append(item)
        elif line["action"] == "relabel":
            items.append(replace(item, label=line["suggested"]))
        else:
            skipped.append(SkippedFile(item.path, f"excluded by {Path(table).name}"))
    counts = {
        action: sum(line["action"] == action for line in by_path.values())
        for action in ("relabel", "exclude")
    }
    note = f"{counts['relabel']} labels changed and {counts['exclude']} images left out by {Path(table).name}"
    assert images.task is not None
    return replace(
        images,
        items=tuple(items),
        skipped=tuple(skipped),
        task=images.task.of([item.label for item in items]),
        findings=(*images.findings, Finding("note", note, tuple(by_path))),
    )


def _read(path: Path) -> list[dict[str, str]]:
    """The lines of a list of corrections, also as a spreadsheet saves it, with cells as in the data set."""
    table = read_delimited(path, _COLUMNS)
    missing = set(_COLUMNS) - set(table.names)
    if missing:
        raise DataError(
            f"{path} lacks the columns {', '.join(sorted(missing))}; use a file that "
            "`regraft advise --suspects` has written"
        )
    lines = []
    for line in table.lines:
        cells = dict(zip(table.names, map(unguarded, line.cells), strict=False))
        labels = {name: label_of(cells.get(name, "")) or "" for name in ("label", "suggested")}
        action = cells.get("action", "").strip().lower()
        lines.append({"path": cells.get("path", ""), **labels, "action": action})
    return lines


def _problems(line: dict[str, str], known: dict[str, ImageItem], labels: tuple[str, ...]) -> list[str]:
    if line["action"] not in _ACTIONS:
        return [
            f"{line['path']}: action {line['action']!r} is not one of relabel, exclude, keep or an empty cell"
        ]
    if line["action"] in ("", "keep"):
        return []
    item = known.get(line["path"])
    if item is None:
        return [f"no usable image {line['path']!r} in the data set"]
    if item.label != line["label"]:
        return [f"{line['path']} is labelled {item.label!r}, not {line['label']!r}"]
    if line["action"] == "relabel" and line["suggested"] not in labels:
        return [
            f"{line['path']}: there is no class {line['suggested']!r}"
            f"{close_names(line['suggested'], labels)}; the classes are {', '.join(labels[:20])}"
        ]
    return []
