"""Finding the images and their labels in folders, split folders or a table. Nothing is decoded here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from regraft.data.findings.label_findings import label_findings
from regraft.data.sources.candidates import Found
from regraft.data.sources.column_names import TableColumns
from regraft.data.sources.folders import from_folder
from regraft.data.sources.tables import from_table
from regraft.errors import NoImagesError
from regraft.settings import Layout as LayoutChoice
from regraft.storage.tables import printable

_LAYOUTS = (
    "Accepted are a folder per class (ROOT/cat/1.jpg), the same below ROOT/train, ROOT/val and ROOT/test, "
    "or a CSV or Parquet table with the columns path and label"
)


def find_images(
    source: str | Path,
    *,
    root: str | Path | None = None,
    columns: TableColumns | None = None,
    layout: LayoutChoice = "auto",
) -> Found:
    """Find the candidates in a folder or table.

    Args:
        source: a folder, or a `.csv`, `.tsv` or `.parquet` file.
        root: the folder that the paths in a table are relative to; None means the table's own folder.
        columns: the table's column names.
        layout: how a folder is understood; see `DataSettings`.

    Raises:
        NoImagesError: there is no file that could be an image with a label.
        DataError: the table can't be read or lacks a column, the layout of a folder is not clear, or sides
            of a split spell labels differently.
    """
    source = Path(source)
    if source.suffix.lower() in (".csv", ".tsv", ".parquet"):
        found = from_table(source, Path(root) if root else source.parent, columns or TableColumns())
    elif source.is_dir():
        found = from_folder(source, layout)
    else:
        state = "is not a folder or table" if source.exists() else "does not exist"
        raise NoImagesError(f"{printable(str(source))} {state}. {_LAYOUTS}")
    if not found.candidates:
        seen = "".join(f"; {finding.message}" for finding in found.findings)
        raise NoImagesError(f"{printable(str(source))} contains no images with labels{seen}. {_LAYOUTS}")
    return replace(found, findings=(*found.findings, *label_findings(found.candidates)))
