"""Files of answers about many images, written block by block: bounded memory, and nothing twice.

Each block of answers is kept next to the file that will be written, complete or absent. After an interruption
the same command begins with the first block that is missing, and the file is the same, byte for byte.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from regraft.outputs.files import TABLE_MARK
from regraft.storage.files import join_atomically, make_folder, write_atomically
from regraft.storage.tables import csv_bytes, printable

AnswerKind = Literal["csv", "jsonl", "parquet"]
BLOCK_IMAGES = 1024


@dataclass
class AnswerFile:
    """A file of answers under construction."""

    path: Path
    kind: AnswerKind
    key: str
    """What the answers depend on: other answers are never mixed with those of an earlier command."""
    header: tuple[str, ...] = field(default=("path",), init=False)

    def __post_init__(self) -> None:
        known = self.folder / "header"
        if known.is_file():
            self.header = tuple(known.read_text(encoding="utf-8").split("\n"))

    @property
    def folder(self) -> Path:
        """Where the blocks are kept until the file is whole."""
        return self.path.with_name(f".{self.path.name}.{self.key[:16]}.partial")

    @property
    def blocks_done(self) -> int:
        """The number of blocks that are there, from the first one on."""
        count = 0
        while (self.folder / f"{count:07d}.rows").is_file():
            count += 1
        return count

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
        make_folder(self.folder)
        if rows and len(self.header) == 1:
            self.header = tuple(rows[0])
            write_atomically(self.folder / "header", "\n".join(self.header).encode())
        listed = csv_bytes((), skipped).split(b"\n", 1)[1] if skipped else b""
        write_atomically(self.folder / f"{number:07d}.skipped", listed)
        write_atomically(self.folder / f"{number:07d}.rows", self._encoded(rows, lines))

    def _encoded(self, rows: Sequence[Mapping[str, str]], lines: bytes) -> bytes:
        if self.kind == "jsonl":
            return lines
        if self.kind == "parquet":
            return _as_parquet(rows, self.header)
        return csv_bytes((), [list(row.values()) for row in rows]).split(b"\n", 1)[1]

    def finish(self) -> None:
        """Write the file, and the list of skipped images next to it, and remove the blocks."""
        blocks = sorted(self.folder.glob("*.rows"))
        if self.kind == "parquet":
            _join_parquet(blocks, self.folder / "whole", self.header)
            blocks = [self.folder / "whole"]
        elif self.kind == "csv":
            make_folder(self.folder)
            write_atomically(self.folder / "names", csv_bytes(self.header, ()))
            blocks = [self.folder / "names", *blocks]
        join_atomically(blocks, self.path)
        skipped = [part for part in sorted(self.folder.glob("*.skipped")) if part.stat().st_size]
        if skipped:
            write_atomically(self.folder / "reasons", csv_bytes(("path", "reason"), ()))
            join_atomically([self.folder / "reasons", *skipped], Path(f"{self.path}.skipped.csv"))
        for folder in self.path.parent.glob(f".{self.path.name}.*.partial"):
            shutil.rmtree(folder, ignore_errors=True)


def _schema(names: Sequence[str]) -> Any:
    """Text for paths and labels, numbers for all others."""
    import pyarrow as pa

    kinds = [pa.string() if name == "path" or name.startswith("label") else pa.float64() for name in names]
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

    make_folder(path.parent)
    schema = _schema(names)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            table = pyarrow.parquet.read_table(block)
            if len(table):
                writer.write_table(table.cast(schema))
