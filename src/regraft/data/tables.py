"""Images and labels from a CSV or Parquet table with the columns path and label."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.data.candidates import SIDES, Candidate, Found
from regraft.errors import DataError, close_names
from regraft.records import Side, SkippedFile
from regraft.storage import printable


@dataclass(frozen=True)
class TableColumns:
    """Names of the table columns to read."""

    path: str = "path"
    label: str = "label"
    split: str = "split"
    group: str = "group"


def from_table(table: Path, root: Path, columns: TableColumns) -> Found:
    """The candidates in a table, whose paths are relative to `root`.

    Raises:
        DataError: the table can't be read or lacks a column.
    """
    rows = _read_table(table)
    names = set(rows[0]) if rows else {columns.path, columns.label}
    for needed in (columns.path, columns.label):
        if needed not in names:
            raise DataError(
                f"{table} has no column {needed}{close_names(needed, names)}; "
                f"it has {', '.join(sorted(names))}. "
                "The columns path and label are needed; split and group are optional"
            )
    candidates: list[Candidate] = []
    skipped: list[SkippedFile] = []
    seen: set[str] = set()
    base = os.path.realpath(root)
    for number, row in enumerate(rows, start=2):
        path, label = row[columns.path], row[columns.label]
        reason = _row_problem(path, label, seen, base)
        if reason:
            skipped.append(SkippedFile(str(path), f"row {number}: {reason}"))
            continue
        seen.add(str(path))
        side = _side(row.get(columns.split), table, number)
        group = row.get(columns.group)
        name = str(path)
        group_name = None if group in (None, "") else str(group)
        candidates.append(Candidate(name, Path(base, name), printable(str(label)), side, group_name))
    if not any(candidate.side in ("test", "validation") for candidate in candidates):
        candidates = [Candidate(c.path, c.file, c.label, None, c.group) for c in candidates]
    return Found(Path(base), tuple(candidates), tuple(skipped))


def _row_problem(path: Any, label: Any, seen: set[str], base: str) -> str | None:
    if path in (None, ""):
        return "no path"
    if label in (None, ""):
        return "no label"
    if str(path) in seen:
        return "path listed twice"
    if not os.path.abspath(os.path.join(base, str(path))).startswith(os.path.join(base, "")):
        return f"path outside of {base} (choose another folder with --root)"
    return None


def _side(value: Any, table: Path, number: int) -> Side | None:
    if value in (None, ""):
        return None
    side = SIDES.get(str(value).strip().lower())
    if side is None:
        raise DataError(f"{table}, row {number}: split {value!r} is not one of {', '.join(SIDES)}")
    return side


def _read_table(path: Path) -> list[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix.lower() == ".parquet":
            table = pyarrow.parquet.read_table(path)
        else:
            delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
            header = pyarrow.csv.open_csv(
                path, parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter)
            ).schema.names
            table = pyarrow.csv.read_csv(
                path,
                parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                # labels such as 007 or NA are names, not numbers or missing values
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types={name: pa.string() for name in header}, strings_can_be_null=False
                ),
            )
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"can't read the table {path}: {error}") from error
    rows: list[Mapping[str, Any]] = table.to_pylist()
    return rows
