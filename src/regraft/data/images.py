"""Finding the images and their labels in folders, archives or a table. Nothing is decoded here."""

from __future__ import annotations

import glob
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from regraft.data.addresses.fetching import fetched
from regraft.data.archives.places import archive_kind, unread_archive
from regraft.data.findings.label_findings import label_findings
from regraft.data.packed.archives import from_archive, from_shards, shards_of
from regraft.data.packed.arrays import ARRAY_ENDINGS, TABLE, as_folder
from regraft.data.packed.parquet_sets import from_parquet_files, parquet_files_of
from regraft.data.sources.candidates import Found
from regraft.data.sources.column_names import TableColumns
from regraft.data.sources.folders import from_folder
from regraft.data.sources.table_files import TABLE_ENDINGS, WORKBOOK_ENDINGS
from regraft.data.sources.tables import from_table
from regraft.errors import DataError, NoImagesError
from regraft.machine.collection import collection_paused
from regraft.progress import Reporter
from regraft.records import SkippedFile, TaskName
from regraft.settings import Layout as LayoutChoice
from regraft.storage.tables import printable
from regraft.tasks.choosing import TASKS

_LAYOUTS = (
    "Accepted are a folder per class (ROOT/cat/1.jpg), the same below ROOT/train, ROOT/val and ROOT/test, "
    "a zip or tar archive of these, or a CSV, JSON or Parquet table with the columns path and label"
)


def find_images(
    source: str | Path,
    *,
    root: str | Path | None = None,
    columns: TableColumns | None = None,
    layout: LayoutChoice = "auto",
    task: TaskName = "classification",
    fetches: bool = False,
    reporter: Reporter | None = None,
) -> Found:
    """Find the candidates in a folder, archive or table.

    Args:
        source: a folder, a zip or tar archive, a pattern of archives, or a table (`TABLE_ENDINGS`).
        root: the folder that the paths in a table are relative to; None means the table's own folder.
        columns: the table's column names.
        layout: how a folder is understood; see `DataSettings`.
        task: what the labels mean.
        fetches: whether images are fetched that a table names by web addresses.
        reporter: receives the progress of fetching.

    Raises:
        NoImagesError: there is no file that could be an image with a label.
        DataError: the table can't be read or lacks a column, the layout of a folder is not clear, or sides
            of a split spell labels differently.
    """
    with nullcontext() if fetches else collection_paused():
        return _found(Path(source), root, columns, layout, task, fetches, reporter)


def _found(
    source: Path,
    root: str | Path | None,
    columns: TableColumns | None,
    layout: LayoutChoice,
    task: TaskName,
    fetches: bool,
    reporter: Reporter | None,
) -> Found:
    """What `find_images` returns."""
    ending = source.suffix.lower()
    if ending in WORKBOOK_ENDINGS and source.is_file():
        raise DataError(
            f"{printable(str(source))} is a spreadsheet's workbook; save the sheet as CSV (in Excel: Save "
            "As, CSV UTF-8; in LibreOffice: Save As, Text CSV), and give the .csv file"
        )
    tables = parquet_files_of(source)
    if tables:
        found = from_parquet_files(tables, columns or TableColumns(), task)
    elif ending in TABLE_ENDINGS:
        found = from_table(
            source,
            Path(root) if root else source.parent,
            columns or TableColumns(),
            task,
            fetch=partial(fetched, reporter=reporter) if fetches else None,
        )
    elif ending in ARRAY_ENDINGS and source.is_file():
        found = _from_arrays(source, task, columns)
    else:
        found = _with_task(_labelled(source, layout), task, columns)
    if not found.candidates:
        seen = "".join(f"; {finding.message}" for finding in found.findings)
        raise NoImagesError(f"{printable(str(source))} contains no images with labels{seen}. {_LAYOUTS}")
    return replace(found, findings=(*found.findings, *label_findings(found.candidates, task)))


def _from_arrays(source: Path, task: TaskName, columns: TableColumns | None) -> Found:
    folder = as_folder(source)
    if (folder / TABLE).exists():
        found = from_table(folder / TABLE, folder, TableColumns(), task)
    else:
        found = _with_task(from_folder(folder), task, columns)
    return replace(found, layout=f"arrays, written as PNG files to {printable(str(folder))}: {found.layout}")


def _labelled(source: Path, layout: LayoutChoice) -> Found:
    """What is in a folder or archive, with the labels that the names of folders or the samples give."""
    shards = [file for file in shards_of(source) if file.suffix.lower() != ".parquet"]
    if shards:
        return from_shards(shards, layout)
    if source.is_dir():
        return from_folder(source, layout)
    if archive_kind(source) is not None:
        return from_archive(source, layout)
    other = unread_archive(source)
    state = f"is {other or 'not a folder, archive or table'}" if source.exists() else "does not exist"
    if not source.exists() and glob.has_magic(str(source)):
        state = "is a pattern that no file fits"
    raise NoImagesError(f"{printable(str(source))} {state}. {_LAYOUTS}")


def _with_task(found: Found, task: TaskName, columns: TableColumns | None) -> Found:
    """The contents of a folder, with the names of its folders as labels of a task."""
    if columns is not None and columns.labels:
        noun = "a folder" if found.root.is_dir() else "an archive"
        raise DataError(
            f"{found.root} is {noun}, whose labels are the names of its folders; --label-columns "
            f"{','.join(columns.labels)} names columns of a table. Remove it, or give the table"
        )
    candidates, skipped = [], list(found.skipped)
    read = cache(TASKS[task].read)
    for candidate in found.candidates:
        try:
            label = read(candidate.label)
            candidates.append(candidate if label == candidate.label else replace(candidate, label=label))
        except DataError as error:
            skipped.append(SkippedFile(candidate.path, str(error)))
    if found.candidates and not candidates:
        raise DataError(f"no folder in {found.root} is named by a label: {skipped[-1].reason}")
    return replace(found, candidates=tuple(candidates), skipped=tuple(skipped), task=task)
