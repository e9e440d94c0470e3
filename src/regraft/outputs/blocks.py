"""Work on many images in blocks, kept next to the output until all are there: what a long command has done.

Each block is a file in a hidden folder next to the output, complete or absent. After an interruption the same
command begins with the first block that is missing.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regraft.storage.files import join_atomically, make_folder, write_atomically
from regraft.storage.tables import csv_bytes

BLOCK_IMAGES = 1024
"""Images in a block, which are answered together."""


@dataclass(frozen=True)
class Blocks:
    """The blocks of an output that is not whole yet."""

    output: Path
    """The file or folder that will be written."""
    key: str
    """What the blocks depend on: other ones are never mixed with those of an earlier command."""

    @property
    def folder(self) -> Path:
        """Where the blocks are kept."""
        output = Path(os.path.abspath(self.output))
        return output.with_name(f".{output.name}.{self.key[:16]}.partial")

    @property
    def done(self) -> int:
        """The number of blocks that are there, from the first one on."""
        count = 0
        while self._rows(count).is_file():
            count += 1
        return count

    @property
    def files(self) -> list[Path]:
        """The blocks in their order."""
        return [self._rows(number) for number in range(self.done)]

    def _rows(self, number: int) -> Path:
        return self.folder / f"{number:07d}.rows"

    def keep(self, number: int, rows: bytes, skipped: Sequence[tuple[str, str]]) -> None:
        """Keep a block.

        Args:
            number: the number of the block.
            rows: what was computed for its images.
            skipped: the path and the reason of each image that could not be used.
        """
        make_folder(self.folder)
        listed = csv_bytes((), skipped).split(b"\n", 1)[1] if skipped else b""
        write_atomically(self._rows(number).with_suffix(".skipped"), listed)
        write_atomically(self._rows(number), rows)

    def write_skipped(self, path: Path) -> None:
        """Write the list of all images that could not be used; without any, there is no such file."""
        parts = [file.with_suffix(".skipped") for file in self.files]
        parts = [part for part in parts if part.stat().st_size]
        if not parts:
            path.unlink(missing_ok=True)  # that of an earlier command, which may be replaced
            return
        write_atomically(self.folder / "reasons", csv_bytes(("path", "reason"), ()))
        join_atomically([self.folder / "reasons", *parts], path)

    def remove(self) -> None:
        """Remove these blocks, and those that other commands have left for the same output."""
        pattern = glob.escape(self.folder.name.removesuffix(f"{self.key[:16]}.partial")) + "*.partial"
        for folder in self.folder.parent.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
