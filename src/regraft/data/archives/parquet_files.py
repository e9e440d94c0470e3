"""Parquet files with whole images in their cells, as the Hugging Face hub keeps them: each cell is a file.

An image column is of bytes, or of structs with a field `bytes` (and `path`, the name that the file had). The
cell of row 12 of the column `image` is the file `image/00000012.jpg`. Rows are stored in groups of some
hundreds, and a group is read as a whole, so the last few groups are kept.
"""

from __future__ import annotations

import bisect
import itertools
import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from regraft.data.archives.members import MOST_MEMBERS, Contents, Member
from regraft.errors import DataError, ImageError, words_of

_MOST_GROUP_BYTES = 2_000_000_000
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_one_group = threading.Lock()  # so that threads that meet a new group do not read it twice


def image_columns(path: Path) -> tuple[str, ...]:
    """The names of the columns that hold whole files.

    Raises:
        DataError: the file can't be read.
    """
    schema = _opened(path).schema_arrow
    return tuple(field.name for field in schema if _holds_files(field.type) and _is_plain(field.name))


def _is_plain(name: str) -> bool:
    return bool(re.fullmatch(r"[^/\\.\0][^/\\\0]*", name))


def _holds_files(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_bytes(kind.field(place).type)
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _opened(path: Path, *, dictionaries: list[str] | None = None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path, read_dictionary=dictionaries)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"can't read the table {path}: {error}") from error


def member_names(path: Path, column: str) -> list[str]:
    """The names that the cells of an image column have as files, by rows.

    Raises:
        DataError: the file can't be read.
    """
    import pyarrow as pa

    opened = _opened(path)
    rows = opened.metadata.num_rows
    kind = opened.schema_arrow.field(column).type
    endings = [""] * rows
    if pa.types.is_struct(kind) and kind.get_field_index("path") >= 0:
        leaf = f"{column}.path"
        try:
            names = _texts(_opened(path, dictionaries=[leaf]), leaf)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"can't read the table {path}: {error}") from error
        endings = [_ending(name) for name in names]
    return [f"{column}/{row:08d}{ending}" for row, ending in enumerate(endings)]


def _texts(opened: Any, leaf: str) -> list[str | None]:
    """The text in a field of structs, one group of rows after another: Arrow can't read several at once."""
    texts: list[str | None] = []
    for group in range(opened.metadata.num_row_groups):
        structs = opened.read_row_group(group, columns=[leaf]).column(0)
        texts += cells_of([chunk.field(0) for chunk in structs.chunks])
    return texts


def cells_of(chunks: Sequence[Any]) -> list[Any]:
    """The cells of Arrow's arrays; equal text in a dictionary is one object, however many rows have it."""
    import pyarrow as pa

    cells: list[Any] = []
    for chunk in chunks:
        if pa.types.is_dictionary(chunk.type):
            values = chunk.dictionary.to_pylist()
            cells += [None if place is None else values[place] for place in chunk.indices.to_pylist()]
        else:
            cells += chunk.to_pylist()
    return cells


def _ending(name: Any) -> str:
    found = _ENDING.search(name) if isinstance(name, str) else None
    return found[0].lower() if found else ""


def parquet_contents(path: Path) -> Contents:
    """The images in a Parquet file, by the names that they have as files.

    Raises:
        DataError: the file can't be read, or has more than a million rows.
    """
    rows = _opened(path).metadata.num_rows
    if rows > MOST_MEMBERS:
        raise DataError(f"{rows:,} rows; at most {MOST_MEMBERS:,} in a file are read: divide it into several")
    members = {
        name: Member(row, -1, column=column)
        for column in image_columns(path)
        for row, name in enumerate(member_names(path, column))
    }
    return Contents(members)


def read_cell(path: Path, member: Member) -> bytes:
    """The bytes in a cell.

    Raises:
        ImageError: there are none, or they can't be read; the message is the reason.
    """
    try:
        status = path.stat()
        with _one_group:
            starts = _starts(path, status.st_size, status.st_mtime_ns)
            group = bisect.bisect_right(starts, member.start) - 1
            cells = _group(path, status.st_size, status.st_mtime_ns, member.column, group)
        value = cells[member.start - starts[group]].as_py()
    except ImageError:
        raise
    except Exception as error:  # pyarrow raises many kinds for damaged files
        raise ImageError(f"can't be read from its table: {words_of(error)}") from error
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None:
        raise ImageError("the cell of the table holds no image, at most a file's name")
    return bytes(data)


@lru_cache(maxsize=64)
def _starts(path: Path, _size: int, _mtime_ns: int) -> tuple[int, ...]:
    """The number of the first row of each group."""
    metadata = _opened(path).metadata
    counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return tuple(itertools.accumulate(counts[:-1], initial=0))


@lru_cache(maxsize=4)
def _group(path: Path, _size: int, _mtime_ns: int, column: str, group: int) -> Any:
    import pyarrow as pa

    is_struct = pa.types.is_struct(_opened(path).schema_arrow.field(column).type)
    leaf = f"{column}.bytes" if is_struct else column
    # Equal cells are kept once, as the file keeps them: otherwise a small file could fill the memory.
    opened = _opened(path, dictionaries=[leaf])
    metadata = opened.metadata.row_group(group)
    if metadata.total_byte_size > _MOST_GROUP_BYTES:
        raise ImageError(
            f"its group of rows takes {metadata.total_byte_size / 1e6:,.0f} MB, above the limit of "
            f"{_MOST_GROUP_BYTES / 1e6:,.0f} MB; write the table with smaller groups"
        )
    return opened.read_row_group(group, columns=[leaf]).column(0)
