"""Files of answers about many images, written block by block: bounded memory, and nothing twice.

After an interruption the same command begins with the first block that is missing, and the file is the same,
byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from regraft.outputs.blocks import Blocks
from regraft.outputs.files import TABLE_MARK
from regraft.storage.files import join_atomically, make_folder, write_atomically
from regraft.storage.tables import csv_bytes, printable

AnswerKind = Literal["csv", "jsonl", "parquet"]
_TEXTS = re.compile(r"path|labels|label(_\d+)?|rejected")


@dataclass(frozen=True)
class AnswerFile:
    """A file of answers under construction."""

    path: Path
    kind: AnswerKind
    key: str
    """What the answers depend on: other answers are never mixed with those of an earlier command."""
    header: tuple[str, ...]
    """The names of the columns; the first one is `path`."""

    @property
    def blocks(self) -> Blocks:
        """The blocks that are there."""
        return Blocks(self.path, self.key)

    def add(
        self, number: int, rows: Sequence[Mapping[str, str]], lines: bytes, skipped: Sequence[tuple[str, str]]
    ) -> None:
        """Keep a block.

        Args:
            number: the number of the block.
            rows: a row for each image that was read, with the cells of a table by their names.
            lines: the same as lines of JSON.
            skipped: the path and the reason of each other image.
        """
        self.blocks.keep(number, self._encoded(rows, lines), skipped)

    def _encoded(self, rows: Sequence[Mapping[str, str]], lines: bytes) -> bytes:
        if self.kind == "jsonl":
            return lines
        if self.kind == "parquet":
            return _as_parquet(rows, self.header)
        return csv_bytes((), [list(row.values()) for row in rows]).split(b"\n", 1)[1]

    def finish(self) -> None:
        """Write the file, and the list of skipped images next to it, and remove the blocks."""
        blocks = self.blocks
        parts, folder = blocks.files, make_folder(blocks.folder)
        if self.kind == "parquet":
            _join_parquet(parts, folder / "whole", self.header)
            parts = [folder / "whole"]
        elif self.kind == "csv":
            write_atomically(folder / "names", csv_bytes(self.header, ()))
            parts = [folder / "names", *parts]
        join_atomically(parts, self.path)
        blocks.write_skipped(Path(f"{self.path}.skipped.csv"))
        blocks.remove()


def _schema(names: Sequence[str]) -> Any:
    """Text for paths and labels, numbers for all others."""
    import pyarrow as pa

    kinds = [pa.string() if _TEXTS.fullmatch(name) else pa.float64() for name in names]
    return pa.schema(list(zip(names, kinds, strict=True)), metadata={b"generator": TABLE_MARK})


def _as_parquet(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet

    schema = _schema(names)
    columns = [
        [
            printable(row[name]) if kind == pa.string() else float(row[name]) if row[name] else None
            for row in rows
        ]
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.table(columns, schema=schema), sink)
    return bytes(sink.getvalue())


def _join_parquet(blocks: Sequence[Path], path: Path, names: Sequence[str]) -> None:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(path, _schema(names)) as writer:
        for block in blocks:
            table = pyarrow.parquet.read_table(block)
            if len(table):
                writer.write_table(table.cast(_schema(names)))
