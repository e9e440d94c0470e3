"""What `regraft predict` is asked: which images, by which model, and where the answers go."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.data.archives.places import archive_kind
from regraft.data.packed.archives import shards_of
from regraft.data.packed.trees import files_in
from regraft.data.pictures.loading import LoadLimits
from regraft.errors import DataError, NoImagesError
from regraft.features.runtimes import RuntimeName
from regraft.outputs.blocks import BLOCK_IMAGES
from regraft.prediction.bundle import model_identity
from regraft.progress import Reporter
from regraft.records import Precision, SkippedFile
from regraft.storage.files import key_of
from regraft.storage.tables import printable
from regraft.version import VERSION

_MOST_TOLD = 20


@dataclass(frozen=True)
class PredictionRequest:
    """The images to be answered, with what all kinds of models need to know."""

    model: str
    given: tuple[str, ...]
    """The images as the user named them."""
    paths: tuple[str, ...]
    """The files that these stand for, in their order."""
    out: str | None
    precision: Precision
    runtime: RuntimeName
    limits: LoadLimits
    overwrite: bool
    reporter: Reporter
    executor: str = "local"
    """Who computes the answers."""
    is_mixed: bool = False
    """Whether workers whose answers differ in their last digits are accepted."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The files and folders that are read, which nothing replaces."""
        return (self.model, *self.given, *self.paths)

    def key(self, *facts: Any) -> str:
        """A hash of all that answers depend on, so that those of another command are not taken over.

        Args:
            facts: what is asked of this kind of model.
        """
        limits = [self.limits.max_megapixels, self.limits.max_file_mb]
        whole = [model_identity(self.model), self.precision, self.runtime, *limits, VERSION, *facts]
        return key_of([*whole, *map(_state, (*self.given, *self.paths))])

    def blocks(self) -> list[tuple[str, ...]]:
        """The files in blocks, each of which is answered and kept as a whole.

        Raises:
            NoImagesError: there are none.
        """
        if not self.paths:
            named = printable(" ".join(self.given)) or "an empty list"
            raise NoImagesError(f"no images were found in {named}; give files, folders, archives, globs or -")
        starts = range(0, len(self.paths), BLOCK_IMAGES)
        return [self.paths[start : start + BLOCK_IMAGES] for start in starts]

    def start_of(self, number: int) -> int:
        """The place of a block's first file among all."""
        return min(number * BLOCK_IMAGES, len(self.paths))

    def tell_resumed(self, done: int) -> None:
        """Say how many images were answered by a command that was interrupted, going by its blocks."""
        if done:
            total = len(self.paths)
            self.reporter.note(
                f"{self.start_of(done):,} of {total:,} images were answered before the interruption"
            )

    def tell_skipped(self, skipped: Sequence[SkippedFile], count: int) -> None:
        """Warn of files that could not be used.

        Args:
            skipped: the first of them.
            count: how many there are.
        """
        for file in skipped[:_MOST_TOLD]:
            self.reporter.warn(f"skipped {printable(file.path)}: {file.reason}")
        if count > _MOST_TOLD:
            where = f"; all are in {self.out}.skipped.csv" if self.out else ""
            self.reporter.warn(f"skipped {count - _MOST_TOLD:,} more files{where}")


def _state(path: str) -> list[Any]:
    """A path with its size and time. Of a folder only the path, as the output may be written into it."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return [os.path.abspath(path)]
    facts = [status.st_size, status.st_mtime_ns] if not os.path.isdir(path) else []
    return [os.path.abspath(path), *facts]


def image_paths(images: Sequence[str]) -> Iterator[str]:
    """The files that names of files, folders, archives and patterns stand for, in their order.

    Raises:
        DataError: an archive that is named can't be read.
    """
    for image in images:
        if image == "/dev/stdin":
            data = sys.stdin.buffer.read()
            separator = b"\0" if b"\0" in data else b"\n"
            for line in data.split(separator):
                if line.strip():
                    yield from _listed(os.fsdecode(line.rstrip(b"\r")))
        elif shards := _archives_of(image):
            for shard in shards:
                yield from _in_place(str(shard))
        elif not os.path.exists(image) and glob.has_magic(image):
            for path in sorted(glob.glob(image, recursive=True)):
                yield from _listed(path)
        else:
            yield from _in_place(image)


def _in_place(path: str) -> Iterator[str]:
    """The files in a folder or archive, named as it was given; of another file itself."""
    if os.path.isdir(path):
        yield from map(str, files_in(Path(path)))
    elif archive_kind(path) is not None:
        whole = os.path.abspath(path)
        yield from (f"{path}{str(file).removeprefix(whole)}" for file in files_in(Path(path)))
    else:
        yield path


def _listed(path: str) -> Iterator[str]:
    """Like `_in_place`, but one of many that can't be read stays a path, so that only it is skipped."""
    try:
        yield from list(_in_place(path))
    except DataError:
        yield path


def _archives_of(image: str) -> list[Path]:
    """The archives that a pattern names, or the shards in a folder."""
    found = shards_of(Path(image))
    return found if all(archive_kind(one) for one in found) else []
