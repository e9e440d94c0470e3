"""A scanned data set: its usable images, and what their labels mean."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from regraft.data.findings.intensity import IntensityChoice
from regraft.records import Finding, ImageItem, SkippedFile
from regraft.tasks.task import Task


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
