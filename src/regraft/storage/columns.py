"""Long tables of our own, as columns of a Parquet file with a few facts about all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regraft.errors import StorageError
from regraft.storage.files import write_atomically

_FACTS = b"regraft"


def write_columns(path: Path, columns: Mapping[str, Sequence[str]], facts: Mapping[str, Any]) -> None:
    """Write columns of text, with checksums; equal text is written once. The file is whole or absent.

    Args:
        path: the file.
        columns: the columns by name, all of the same length.
        facts: what is true of all rows, as JSON values.
    """
    import pyarrow as pa
    import pyarrow.parquet

    table = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    table = table.replace_schema_metadata({_FACTS: json.dumps(facts, sort_keys=True)})
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink, compression="zstd", write_page_checksum=True)
    write_atomically(path, [memoryview(sink.getvalue())])


def read_columns(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Some columns of a file.

    Raises:
        StorageError: it is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(
            path, columns=list(names), page_checksum_verification=True, partitioning=None
        )
        return {name: table.column(name).to_pylist() for name in names}
    except (OSError, KeyError, pa.ArrowException) as error:
        raise StorageError(f"can't read {path}: {error}") from error


def read_facts(path: Path) -> dict[str, Any]:
    """What is true of all rows of a file, without reading them.

    Raises:
        StorageError: it is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        facts: dict[str, Any] = json.loads((pyarrow.parquet.read_schema(path).metadata or {})[_FACTS])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise StorageError(f"can't read {path}: {error}") from error
    return facts
