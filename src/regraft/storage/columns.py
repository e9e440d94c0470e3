"""Long tables of our own: columns of a Parquet file with facts about all of them, and arrays in the cache."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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


def remember(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays into the cache, as one file; where that is not possible, nothing is lost but time."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    with contextlib.suppress(StorageError):  # a read-only cache can be used too
        write_atomically(path, buffer.getvalue(), is_durable=False)


def remembered(path: Path, names: Sequence[str]) -> list[npt.NDArray[Any]] | None:
    """Arrays of such a file; None if it is missing or damaged, which the checksums of zip files tell."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as table:
            return [table[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def joined(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Texts without zero bytes as one array; see `divided`."""
    return np.frombuffer("\0".join(texts).encode("utf-8", "surrogateescape"), dtype=np.uint8)


def divided(array: npt.NDArray[np.uint8]) -> list[str]:
    r"""The texts in an array.

    >>> divided(joined(["a", "caf\udce9"])) == ["a", "caf\udce9"], divided(joined([]))
    (True, [])
    """
    text = array.tobytes().decode("utf-8", "surrogateescape")
    return text.split("\0") if text else []
