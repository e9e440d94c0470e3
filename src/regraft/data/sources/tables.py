"""Images and labels from a CSV or Parquet table: a row for each image, with its path and label."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from regraft.data.archives.places import archive_kind
from regraft.data.sources.candidates import SIDES, Candidate, Found
from regraft.data.sources.column_names import Chosen, TableColumns, likely_names, usual_splits
from regraft.data.sources.labels import is_number, label_of
from regraft.data.sources.table_files import Table, chosen_columns, read_table
from regraft.data.sources.table_paths import Located, PathLookup, better_root, is_address
from regraft.errors import DataError, NoImagesError
from regraft.records import Finding, Side, SkippedFile, TaskName
from regraft.storage.tables import printable
from regraft.tasks.choosing import TASKS
from regraft.tasks.multilabel import SEPARATOR, Multilabel, from_columns

_LONGEST_SHOWN = 4096
_NO_LABEL = "no label"
_PERHAPS_NONE = " (with --task multilabel, an empty cell means that the image has none of the labels)"


@dataclass(frozen=True)
class _Row:
    """One row that names a file."""

    located: Located
    written: object
    """The label as the table writes it."""
    label: str | DataError | None
    side: Side | None
    group: str | None


Fetch = Callable[[Sequence[str], str], tuple[Path, Mapping[str, Located | str]]]
"""Fetches the images at addresses, for a table; says where each is below a folder, or why it is not."""


def from_table(
    file: Path,
    root: Path,
    columns: TableColumns,
    task: TaskName = "classification",
    *,
    fetch: Fetch | None = None,
) -> Found:
    """The candidates in a table, whose paths are relative to `root` or absolute and below it.

    Args:
        file: the table.
        root: the folder or archive of the images.
        columns: the table's columns.
        task: what the labels mean.
        fetch: fetches images that are named by web addresses; None refuses these.

    Raises:
        DataError: the table can't be read, lacks a column, or no row of it can be used.
    """
    if not root.is_dir() and archive_kind(root) is None:
        raise DataError(f"the folder or archive {root} of the table's images (--root) does not exist")
    return found_in_table(read_table(file, likely_names(columns)), root, columns, task, fetch=fetch)


def found_in_table(
    table: Table, root: Path, columns: TableColumns, task: TaskName, *, fetch: Fetch | None = None
) -> Found:
    """The candidates in a table that was read; see `from_table`.

    Raises:
        DataError: the table lacks a column, or no row of it can be used.
    """
    chosen = chosen_columns(table, columns)
    chosen = chosen if chosen.split is not None else _with_usual_split(table, chosen)
    lookup = _lookup(table, chosen, root, fetch)
    rows, skipped = _located(table, chosen, lookup, task)
    rows, findings = _without_unlabelled_sides(rows)
    candidates, refused, repeated = _merged(
        _blanks_read(rows, chosen, task),
        lookup.base,
        task,
        unites=task == "multilabel" and not chosen.is_by_column,
    )
    skipped = [*table.broken, *skipped, *refused]
    if not candidates:
        raise _nothing_usable(table, chosen, skipped, lookup)
    if not any(candidate.side in ("test", "validation") for candidate in candidates):
        candidates = [replace(candidate, side=None) for candidate in candidates]
    findings += [*repeated, *_changes(rows, is_tidied=task == "classification")]
    findings += _never_present(table, chosen, candidates)
    source = f"{table.file.resolve()}#{','.join(table.names[place] for place in chosen.labels)}"
    return Found(
        Path(lookup.base),
        tuple(candidates),
        tuple(skipped),
        tuple(findings),
        layout=_layout(table, chosen),
        source=source,
        task=task,
    )


def _lookup(table: Table, chosen: Chosen, root: Path, fetch: Fetch | None) -> PathLookup:
    """What finds the files; where addresses are fetched, below the folder that they are fetched into."""
    if chosen.path in table.images and table.root is not None:
        return PathLookup(table.root)
    cells = [cell.strip() for cell in table.texts(chosen.path) if cell and cell.strip()] if fetch else []
    addresses = [cell for cell in cells if is_address(cell)]
    if not addresses or fetch is None:
        return PathLookup(root, table.encoding)
    if len(addresses) < len(cells):
        raise DataError(
            f"{table.file} names {len(addresses):,} images by web addresses and the other "
            f"{len(cells) - len(addresses):,} by paths; divide it into two tables, or remove --fetch-urls to "
            "use the paths alone"
        )
    folder, found = fetch(addresses, str(table.file))
    return PathLookup(folder, table.encoding, found)


def _located(
    table: Table, chosen: Chosen, lookup: PathLookup, task: TaskName
) -> tuple[list[_Row], list[SkippedFile]]:
    """The rows whose files exist, and the paths of the others with the reasons, each once."""
    written, labels = table.column(chosen.labels[0]), _labels(table, chosen, task)
    sides = _sides(table, chosen.split)
    groups = _groups(table, chosen.group)
    rows: list[_Row] = []
    lost: dict[str, dict[str, None]] = defaultdict(dict)
    for place, cell in enumerate(table.texts(chosen.path)):
        number = table.numbers[place]
        if cell is None or not cell.strip():
            lost["no path"][f"row {number} of {table.file.name}"] = None
            continue
        found = lookup.find(cell)
        if isinstance(found, Located):
            rows.append(_Row(found, written[place], labels[place], sides[place], groups[place]))
        else:
            lost[found][cell[:_LONGEST_SHOWN]] = None
    skipped = []
    for reason, cells in lost.items():
        hint = better_root(lookup, list(cells)) if reason != "no path" else ""
        skipped += [SkippedFile(cell, f"{reason}; {hint}" if hint else reason) for cell in cells]
    return rows, skipped


def _labels(table: Table, chosen: Chosen, task: TaskName) -> list[str | DataError | None]:
    """The label of each row as its task reads it: None where there is none, an error where it is none."""
    columns = [table.labels(place, is_list=task == "multilabel") for place in chosen.labels]
    names = [label_of(table.names[place]) or "" for place in chosen.labels]
    return [
        _label(cells, names, task, is_by_column=chosen.is_by_column) for cells in zip(*columns, strict=True)
    ]


def _label(
    cells: Sequence[str | DataError | None], names: Sequence[str], task: TaskName, *, is_by_column: bool
) -> str | DataError | None:
    errors = [cell for cell in cells if isinstance(cell, DataError)]
    known = [None if isinstance(cell, DataError) else cell for cell in cells]
    if errors or not any(known):
        return errors[0] if errors else None
    try:
        return from_columns(names, known) if is_by_column else TASKS[task].read(known[0] or "")
    except DataError as error:
        return error


def _blanks_read(rows: Sequence[_Row], chosen: Chosen, task: TaskName) -> list[_Row]:
    """The rows, with a meaning for empty cells where the task gives them one: no label is present."""
    if chosen.is_by_column or task != "multilabel":
        return list(rows)
    return [replace(row, label="") if row.label is None else row for row in rows]


def _never_present(table: Table, chosen: Chosen, candidates: Sequence[Candidate]) -> list[Finding]:
    """A finding about columns of labels that no image has."""
    if not chosen.is_by_column:
        return []
    present = {name for candidate in candidates for name in candidate.label.split(SEPARATOR)}
    never = [table.names[place] for place in chosen.labels if label_of(table.names[place]) not in present]
    if not never:
        return []
    text = f"no image has the label {' or the label '.join(never)}, so the model does not predict it"
    return [Finding("never-present", text)]


def _sides(table: Table, place: int | None) -> list[Side | None]:
    if place is None:
        return [None] * len(table)
    return [
        _side(value, f"{table.file}, row {number}: {table.names[place]}")
        for value, number in zip(table.column(place), table.numbers, strict=True)
    ]


def _side(value: object, where: str) -> Side | None:
    text = label_of(value)
    if text is None:
        return None
    side = SIDES.get(text.lower())
    if side is not None:
        return side
    names = ", ".join(SIDES)
    if is_number(text) or text.lower() in ("true", "false"):
        raise DataError(
            f"{where} {text!r} does not say which side it means; write one of {names} instead, or rename the "
            "column, so that a split is drawn"
        )
    raise DataError(f"{where} {text!r} is not one of {names}")


def _with_usual_split(table: Table, chosen: Chosen) -> Chosen:
    """Use a column with a usual name as the split, if nothing but sides is in it, and more than one."""
    for place in usual_splits(table.names, {chosen.path, *chosen.labels}):
        try:
            values = {label_of(value) for value in table.column(place)} - {None}
        except DataError:
            continue
        sides = {SIDES.get(str(value).lower()) for value in values}
        if None not in sides and len(sides) > 1:
            return replace(chosen, split=place)
    return chosen


def _groups(table: Table, place: int | None) -> list[str | None]:
    if place is None:
        return [None] * len(table)
    return [label_of(value) for value in table.column(place)]


def _without_unlabelled_sides(rows: Sequence[_Row]) -> tuple[list[_Row], list[Finding]]:
    """Set aside the sides of a split on which no row has a label: images to be predicted, not broken rows."""
    labelled = {row.side for row in rows if row.label is not None}
    unlabelled = {row.side for row in rows} - labelled - {None} if labelled else set()
    findings = []
    for side in sorted(side for side in unlabelled if side):
        paths = tuple(row.located.path for row in rows if row.side == side)
        findings.append(
            Finding("unlabelled", f"no image on the {side} side has a label; the side was set aside", paths)
        )
    return [row for row in rows if row.side not in unlabelled], findings


def _merged(
    rows: Sequence[_Row], base: str, task: TaskName, *, unites: bool
) -> tuple[list[Candidate], list[SkippedFile], list[Finding]]:
    """One candidate for each file; a file on which its rows disagree is refused."""
    by_file: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        by_file[row.located.path].append(row)
    candidates, skipped, repeated = [], [], []
    blank = _NO_LABEL
    if task == "classification" and any(SEPARATOR in row.label for row in rows if isinstance(row.label, str)):
        blank += _PERHAPS_NONE
    for path, same in by_file.items():
        if unites:  # a row for each label
            same = _united(same)
        reason = _disagreement(same)
        labels = [row.label for row in same if isinstance(row.label, str)]
        if reason is not None:
            skipped.append(SkippedFile(path, blank if reason == _NO_LABEL else reason))
            continue
        if len(labels) > 1 and not unites:
            repeated += [path] * (len(labels) - 1)
        side = next((row.side for row in same if row.side), None)
        group = next((row.group for row in same if row.group), None)
        candidates.append(Candidate(path, str(Path(base, path)), labels[0], side, group))
    return candidates, skipped, _repeated(repeated)


def _united(rows: Sequence[_Row]) -> list[_Row]:
    """The rows of one file as one: it has the labels of all of them."""
    known = [row.label for row in rows if isinstance(row.label, str)]
    if len(known) < len(rows):  # a label that can't be read
        return list(rows)
    label = Multilabel.read(SEPARATOR.join(known))
    return [replace(row, label=label) for row in rows]


def _disagreement(rows: Sequence[_Row]) -> str | None:
    """Why the rows of one file can't be used; None if they can."""
    errors = [row.label for row in rows if isinstance(row.label, DataError)]
    if errors:
        return str(errors[0])
    for what, values in (
        ("has several labels", {row.label for row in rows if row.label is not None}),
        ("is on several sides of the split", {row.side for row in rows if row.side}),
        ("is in several groups", {row.group for row in rows if row.group}),
    ):
        if len(values) > 1:
            return f"{what} ({', '.join(sorted(map(str, values)))})"
    return None if any(row.label is not None for row in rows) else _NO_LABEL


def _repeated(paths: Sequence[str]) -> list[Finding]:
    if not paths:
        return []
    images = tuple(dict.fromkeys(paths))
    text = (
        f"rows that repeat an image with the same label: {len(paths)}, for {len(images)} images; each "
        "image is used once. To give rare classes more weight, use --balanced or --class-weights"
    )
    return [Finding("repeated", text, images)]


def _changes(rows: Sequence[_Row], *, is_tidied: bool) -> list[Finding]:
    """What was changed in paths so that they name files, and in labels so that equal ones are equal."""
    changed: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if row.located.how:
            changed[row.located.how][row.located.path] = None
    findings = [Finding("note", f"paths in the table {how}", tuple(paths)) for how, paths in changed.items()]
    tidied = [
        row
        for row in rows
        if isinstance(row.label, str) and isinstance(row.written, str) and row.written != row.label
    ]
    if tidied and is_tidied:
        text = (
            "labels in the table were unified in their blanks, accents or decimals of whole numbers: "
            f"{tidied[0].written!r} became {tidied[0].label!r}"
        )
        findings.append(Finding("note", text, tuple(dict.fromkeys(row.located.path for row in tidied))))
    return findings


def _layout(table: Table, chosen: Chosen) -> str:
    columns = [
        f"{what} {table.names[place]}"
        for what, place in (("paths in", chosen.path), *(("labels in", place) for place in chosen.labels))
    ]
    if chosen.split is not None:
        columns.append(f"sides in {table.names[chosen.split]}")
    if chosen.group is not None:
        columns.append(f"groups in {table.names[chosen.group]}")
    remarks = "".join(f", {remark}" for remark in table.remarks)
    return f"{table.noun} of {len(table):,} rows{remarks}: {', '.join(columns)}"


def _nothing_usable(
    table: Table, chosen: Chosen, skipped: Sequence[SkippedFile], lookup: PathLookup
) -> NoImagesError:
    """The error for a table without a usable row: the commonest reasons, and where files were looked for."""
    common = Counter(file.reason for file in skipped).most_common(3)
    causes = "; ".join(f"{count} x {reason}" for reason, count in common)
    example = next(
        (file for file in skipped if file.reason.startswith(("no such file", "path outside"))), None
    )
    remark = ""
    if example is not None:
        place = printable(lookup.tried(example.path))
        remark = f" For example, {printable(example.path)} was looked for at {place}."
    elif any(file.reason.startswith("has several labels") for file in skipped):
        remark = (
            " A classification has one label for each image: keep one row for each, or add --task multilabel "
            "to predict any number of labels."
        )
    flag = "--label-columns" if chosen.is_by_column else "--label-column"
    return NoImagesError(
        f"no row of {table.file} can be used: {causes}.{remark} Paths are read from the column "
        f"{table.names[chosen.path]} (--path-column), labels from "
        f"{', '.join(table.names[place] for place in chosen.labels)} ({flag}), and files are looked for "
        f"below {printable(lookup.base)} (--root)"
    )
