"""Several Parquet files that are one data set, as on the Hugging Face hub: `train-00000-of-00005.parquet`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from regraft.data.archives.parquet_files import image_columns
from regraft.data.packed.archives import shards_of
from regraft.data.sources.candidates import Found
from regraft.data.sources.column_names import TableColumns, likely_names
from regraft.data.sources.side_names import sides_of
from regraft.data.sources.table_files import Table, read_table
from regraft.data.sources.tables import found_in_table
from regraft.errors import DataError
from regraft.records import TaskName

_SPLIT = "split"


def parquet_files_of(source: Path) -> list[Path]:
    """The Parquet files with images in them that a folder holds or a pattern names; none for other places."""
    files = shards_of(source)
    if not files and (source / "data").is_dir():  # a repository of the hub
        files = shards_of(source / "data")
    if not files or any(file.suffix.lower() != ".parquet" for file in files):
        return []
    return files if image_columns(files[0]) else []


def from_parquet_files(files: Sequence[Path], columns: TableColumns, task: TaskName) -> Found:
    """The candidates in several files; the names of the files say on which side their rows are.

    Raises:
        DataError: a file can't be read, or the files have different columns.
    """
    tables = [read_table(file, likely_names(columns)) for file in files]
    return found_in_table(_joined(tables), files[0].parent, columns, task)


def _joined(tables: Sequence[Table]) -> Table:
    first = tables[0]
    for table in tables:
        if (table.names, table.images) != (first.names, first.images):
            raise DataError(
                f"{table.file} has the columns {', '.join(table.names)}, but {first.file} has "
                f"{', '.join(first.names)}; files of one data set have the same columns"
            )
    sides = _sides(tables)

    def column(place: int) -> Sequence[Any]:
        if place == len(first.names):
            return [sides[table.file.name] for table in tables for _ in range(len(table))]
        if place not in first.images:
            return list(chain.from_iterable(table.column(place) for table in tables))
        return [f"{table.file.name}/{cell}" for table in tables for cell in table.column(place)]

    kinds = first.kinds or ()
    return Table(
        first.file.parent,
        (*first.names, _SPLIT) if sides else first.names,
        tuple(number for table in tables for number in table.numbers),
        column,
        (*kinds, "string") if sides else kinds,
        f"{len(tables):,} Parquet files",
        images=first.images,
        root=first.file.parent,
    )


def _sides(tables: Sequence[Table]) -> dict[str, str]:
    """The side of each file by its name; empty if they do not say, or if a column does."""
    stems = {table.file.name: table.file.stem for table in tables}
    found = sides_of(list(stems.values()))
    if len(found) < len(set(stems.values())) or len(set(found.values())) < 2 or _SPLIT in tables[0].names:
        return {}
    return {name: found[stem] for name, stem in stems.items()}
