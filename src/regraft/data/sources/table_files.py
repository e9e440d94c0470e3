"""The columns of a CSV, JSON or Parquet file, with labels and paths as text whatever the file's types are."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from regraft.data.archives.parquet_files import cells_of, image_columns, member_names
from regraft.data.sources.column_names import Chosen, TableColumns, choose_columns
from regraft.data.sources.delimited import described, is_image_file, read_delimited, with_names
from regraft.data.sources.labels import label_of, text_labels
from regraft.errors import DataError
from regraft.records import SkippedFile
from regraft.storage.tables import unguarded

_LOOKED_AT = 100
_LABEL_KINDS = (
    "string",
    "null",
    "int",
    "uint",
    "float",
    "double",
    "halffloat",
    "decimal",
    "bool",
    "date",
    "timestamp",
    "mixed",
)
TABLE_ENDINGS = (".csv", ".tsv", ".parquet", ".json", ".jsonl", ".ndjson")
"""How the names of tables end."""
WORKBOOK_ENDINGS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")


@dataclass(frozen=True)
class Table:
    """A table in memory; columns are read one by one, when they are needed."""

    file: Path
    names: tuple[str, ...]
    numbers: tuple[int, ...]
    """Where each row is: its line in a text file, its place from 1 in a Parquet file."""
    column: Callable[[int], Sequence[Any]]
    """The cells of the column at a place; text in a text file, Python values in a Parquet file."""
    kinds: tuple[str, ...] | None
    """The types of the columns; None in a text file, where everything is text."""
    noun: str = "CSV table"
    """What it is, in words."""
    encoding: str = "utf-8"
    remarks: tuple[str, ...] = ()
    """What is unusual about how the file is written, as phrases."""
    broken: tuple[SkippedFile, ...] = ()
    """Rows that can't be divided into columns."""
    images: tuple[int, ...] = ()
    """Columns that hold whole images; their cells are read as the paths of these, below `root`."""
    root: Path | None = None
    """What the paths of images in the table are relative to."""

    def __len__(self) -> int:
        return len(self.numbers)

    def texts(self, place: int) -> list[str | None]:
        """A column whose cells are text.

        Raises:
            DataError: the column is of another type.
        """
        is_text = self.kinds is None or self.kinds[place] in ("string", "null") or place in self.images
        if not is_text and self.kinds is not None:
            raise DataError(
                f"{self.file}: the column {self.names[place]} holds {self.kinds[place]}, but paths are text; "
                "choose the column that holds them with --path-column, or save it as text"
            )
        return [None if cell is None else str(cell) for cell in self.column(place)]

    def labels(self, place: int, *, is_list: bool = False) -> list[str | DataError | None]:
        """A column's labels: None where there is none, the error where a cell can't be a label.

        Args:
            place: the column.
            is_list: whether a cell can hold several labels, each of which may be as long as a single one.

        Raises:
            DataError: no cell of a column of this type can be a label.
        """
        kind = self.kinds[place] if self.kinds is not None else None
        if kind is not None and not kind.startswith(_LABEL_KINDS):
            raise DataError(
                f"{self.file}: the column {self.names[place]} holds {kind}, but Regraft reads one label for "
                "each image; choose a column of text or numbers with --label-column"
            )
        cells = self.column(place)
        if kind is None:  # tables of Regraft's own guard labels against spreadsheets that run them
            cells = [unguarded(cell) for cell in cells]
        if kind in (None, "string"):
            cells = _each(partial(text_labels, is_list=is_list), cells)
        elif kind in ("float", "halffloat"):  # as Python floats, 0.1 would have 17 digits
            cells = [None if cell is None else np.float32(cell) for cell in cells]
        return [_label(cell, is_list=is_list) for cell in cells]


def read_table(file: Path, known: Collection[str]) -> Table:
    """Read a table: Parquet or JSON by its ending, text otherwise.

    Args:
        file: the table.
        known: names of columns that are likely (see `plain_name`).

    Raises:
        DataError: the file can't be read, or has no rows.
    """
    readers = {".parquet": _parquet, ".json": _json, ".jsonl": _json_lines, ".ndjson": _json_lines}
    reader = readers.get(file.suffix.lower())
    table = reader(file) if reader else _text(file, known)
    if not len(table) and not table.broken:
        raise DataError(
            f"{file} has no rows, only the columns {', '.join(table.names)}; add a row for each image"
        )
    return table


def chosen_columns(table: Table, columns: TableColumns) -> Chosen:
    """The columns to read.

    Raises:
        DataError: they are not clear; the message names columns that may be labels.
    """
    image = table.names[table.images[0]] if len(table.images) == 1 else columns.label
    if columns.path == TableColumns.path and image != columns.label:
        columns = replace(columns, path=image)
    try:
        return choose_columns(str(table.file), table.names, columns)
    except DataError as error:
        if hint := _path_hint(table, columns, str(error)):
            raise DataError(f"{error.with_flags}. {hint}") from error
        asked = columns.label != TableColumns.label or columns.labels
        places = [] if asked else [place for place in range(len(table.names)) if _is_yes_no(table, place)]
        names = [table.names[place] for place in places]
        if len(names) < 2 or "label" not in str(error):
            raise
        listed = ",".join(names[:20]) + (",..." if len(names) > 20 else "")
        raise DataError(
            f"{error.with_flags}. {len(names):,} columns hold nothing but 0 and 1: if each of them is a "
            f"label, add --label-columns {listed}"
        ) from error


def _path_hint(table: Table, columns: TableColumns, error: str) -> str:
    """Which column holds names of images, where none is called so; empty if none does, or several do."""
    if columns.path != TableColumns.path or "no column path" not in error:
        return ""
    texts = [
        place for place in range(len(table.names)) if table.kinds is None or table.kinds[place] == "string"
    ]
    found = [place for place in texts if all(map(is_image_file, table.texts(place)[:_LOOKED_AT]))]
    if len(found) != 1:
        return ""
    others = [name for place, name in enumerate(table.names) if place != found[0]]
    name, other = table.names[found[0]], others[0] if len(others) == 1 else "NAME"
    label = "" if columns.label != TableColumns.label or columns.labels else f" --label-column {other}"
    return f"The column {name} holds names of images: add --path-column {name}{label}"


def _is_yes_no(table: Table, place: int) -> bool:
    """Whether a column holds 0 and 1 alone, and both."""
    try:
        cells = {label for label in table.labels(place) if label is not None}
    except DataError:
        return False
    return cells == {"0", "1"}


def _text(file: Path, known: Collection[str]) -> Table:
    text = with_names(read_delimited(file, known))
    width = len(text.names)
    lines, broken = [], []
    for line in text.lines:
        if any(cell.strip() for cell in line.cells[width:]):
            reason = "more cells than columns (cells that contain the separator need quotation marks)"
            broken.append(SkippedFile(f"row {line.number} of {file.name}", reason))
        else:
            lines.append(line)

    def column(place: int) -> list[str]:
        return [line.cells[place] if place < len(line.cells) else "" for line in lines]

    return Table(
        file,
        text.names,
        tuple(line.number for line in lines),
        column,
        None,
        "CSV table",
        "utf-8" if text.encoding.startswith("utf") else text.encoding,
        tuple(described(text)),
        tuple(broken),
    )


def _parquet(file: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet

    images = image_columns(file) if file.is_file() else ()
    try:
        if file.is_dir():  # a table in several files
            table = pyarrow.parquet.read_table(file)
            schema = table.schema
        else:
            # Equal text is kept once, as the file keeps it: otherwise a small file could fill the memory.
            plain = pyarrow.parquet.ParquetFile(file).schema_arrow
            texts = [field.name for field in plain if _kind(field.type) == "string"]
            opened = pyarrow.parquet.ParquetFile(file, read_dictionary=texts)
            schema = opened.schema_arrow
            names = [name for name in schema.names if name not in images]
            # Without a choice of columns where possible, also where two have the same name.
            table = opened.read(columns=names) if images else opened.read()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"can't read the table {file}: {error}") from error
    classes = _class_names(schema.metadata)

    def column(place: int) -> list[Any]:
        name = schema.names[place]
        if name in images:
            return [*member_names(file, name)]
        cells = cells_of(table.column(place if not images else table.schema.names.index(name)).chunks)
        known = classes.get(name)
        return cells if known is None else [_class_name(cell, known) for cell in cells]

    kinds = ["string" if field.name in classes else _kind(field.type) for field in schema]
    return Table(
        file,
        tuple(schema.names),
        tuple(range(1, len(table) + 1)),
        column,
        tuple(kinds),
        "Parquet table",
        images=tuple(schema.names.index(name) for name in images),
        root=file,
    )


def _class_names(metadata: Any) -> dict[str, list[str]]:
    """The names of the classes by their numbers, of the columns for which the hub's metadata state them."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        found = {
            name: feature.get("names") for name, feature in features.items() if isinstance(feature, dict)
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}
    return {name: names for name, names in found.items() if isinstance(names, list)}


def _class_name(cell: Any, names: Sequence[Any]) -> str | None:
    """The name of a class by its number; -1 stands for no label."""
    if isinstance(cell, int) and 0 <= cell < len(names):
        return str(names[cell])
    return None if cell is None or cell == -1 else str(cell)


def _json(file: Path) -> Table:
    """Objects in a list, or columns as of pandas: `{"path": {"0": "a.jpg"}, "label": {"0": "x"}}`."""
    data = _parsed(_json_text(file), str(file))
    if isinstance(data, dict) and data and all(isinstance(cells, dict | list) for cells in data.values()):
        columns = [list(cells.values()) if isinstance(cells, dict) else cells for cells in data.values()]
        if len({len(cells) for cells in columns}) == 1:
            data = [dict(zip(data, cells, strict=True)) for cells in zip(*columns, strict=True)]
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise DataError(
            f"{file} is no table: accepted is a list with an object for each image, as in "
            '[{"path": "1.jpg", "label": "cat"}], or a line for each object in a .jsonl file'
        )
    return _of_objects(file, data, range(1, len(data) + 1), "JSON table")


def _json_lines(file: Path) -> Table:
    rows, numbers = [], []
    for number, line in enumerate(_json_text(file).split("\n"), start=1):
        if line.strip():
            row = _parsed(line, f"{file}, line {number}")
            if not isinstance(row, dict):
                raise DataError(
                    f"{file}, line {number} is no object; accepted are lines such as "
                    '{"path": "1.jpg", "label": "cat"}'
                )
            rows.append(row)
            numbers.append(number)
    return _of_objects(file, rows, numbers, "JSON lines table")


def _json_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return file.read_text(encoding="utf-16") if file.read_bytes()[:2] in _UTF16 else _no_utf8(file)
    except OSError as error:
        raise DataError(f"can't read the table {file}: {error.strerror or error}") from error


_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def _no_utf8(file: Path) -> str:
    raise DataError(f"can't read the table {file}: its text is not UTF-8; save it as UTF-8")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=partial(_once, where))
    except (ValueError, RecursionError) as error:
        raise DataError(f"can't read the table {where}: {str(error) or 'nested too deeply'}") from error


def _once(where: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = (
        next((name for name in names if names.count(name) > 1), None)
        if len(set(names)) < len(names)
        else None
    )
    if twice is not None:
        raise DataError(f"{where}: an object has {twice} twice; which of the values is meant is not clear")
    return dict(pairs)


def _of_objects(file: Path, rows: Sequence[dict[str, Any]], numbers: Sequence[int], noun: str) -> Table:
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise DataError(f"{file} has no rows; write an object for each image, with its path and its label")

    def column(place: int) -> list[Any]:
        return [row.get(names[place]) for row in rows]

    kinds = tuple(_kind_of_values(column(place)) for place in range(len(names)))
    return Table(file, names, tuple(numbers), column, kinds, noun)


def _kind_of_values(values: Sequence[Any]) -> str:
    """The type of a column of JSON values, as tables with types would call it."""
    kinds = {type(value) for value in values if value is not None}
    named = {str: "string", bool: "bool", int: "int64", float: "double"}
    if len(kinds) == 1:
        return named.get(next(iter(kinds)), "mixed")
    return "double" if kinds == {int, float} else "mixed" if kinds else "null"


def _kind(kind: Any) -> str:
    """A type's name; all types of text are `string`, and a dictionary is what it stands for."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    name = str(kind)
    return "string" if name in ("large_string", "string_view") else name


def _label(value: Any, *, is_list: bool) -> str | DataError | None:
    if isinstance(value, DataError):
        return value
    try:
        return label_of(value, is_list=is_list)
    except DataError as error:
        return error


def _each(
    read: Callable[[Sequence[str | None]], list[str | None]], cells: Sequence[str | None]
) -> Sequence[Any]:
    """The labels of text; if one can't be read, each cell by itself, so that only that one is refused."""
    try:
        return read(cells)
    except DataError:
        return cells
