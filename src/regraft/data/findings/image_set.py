"""A scanned data set: its usable images, and what their labels mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from regraft.data.findings.intensity import IntensityChoice
from regraft.records import Finding, ImageItem, SkippedFile
from regraft.tasks.task import Task


class FilesByHash(Mapping[str, Path]):
    """The file of each image by its content's hash; of a million images, their `Path`s would take 0.4 GB.

    Args:
        root: the folder that paths are relative to.
        items: the images; of copies, the last one is taken.
    """

    def __init__(self, root: str, items: Iterable[ImageItem]) -> None:
        self._root = root
        self._paths = {item.sha256: item.path for item in items}

    def __getitem__(self, key: str) -> Path:
        return Path(self._root, self._paths[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, key: object) -> bool:
        return key in self._paths


@dataclass(frozen=True)
class Images:
    """A scanned data set: its usable images, the skipped files, and what was noticed."""

    root: str
    items: tuple[ImageItem, ...]
    skipped: tuple[SkippedFile, ...] = ()
    findings: tuple[Finding, ...] = ()
    task: Task | None = None
    """What the labels mean; None for images without labels."""
    layout: str = ""
    """How the folder or table was understood, in one line."""
    source: str = ""
    """What tells this data set from others with the same root: a table and its column of labels; empty for a
    folder."""
    unknown: tuple[ImageItem, ...] = ()
    """Images of official sides whose class has no training images: no label, and part of no score."""
    intensity: IntensityChoice = field(default_factory=lambda: IntensityChoice(None))
    """The range of images of more than 8 bits, and why."""
    oblong_share: float = 0.0
    """Share of the images that are not square, of which framings show different parts."""

    def of(self, keys: Collection[str]) -> Images:
        """The same data set with only the images whose content has one of the hashes."""
        return replace(self, items=tuple(item for item in self.items if item.sha256 in keys))

    def __len__(self) -> int:
        return len(self.items)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of a model's outputs, in order: for classification, the classes."""
        return self.task.outputs if self.task else ()
