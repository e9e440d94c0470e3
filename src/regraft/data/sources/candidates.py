"""What a folder or table holds before any file is opened: files that may be images, with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from regraft.records import Finding, Side, SkippedFile, TaskName

SIDES: dict[str, Side] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
    "holdout": "test",
}


def suffix_of(path: str) -> str:
    """The extension of a file's name, as `Path(path).suffix`, for paths with forward slashes.

    >>> [suffix_of(path) for path in ("a.b/1.JPG", "a/.hidden", "a/1.", "a/1")]
    ['.JPG', '', '', '']
    """
    name = path.rpartition("/")[2]
    place = name.rfind(".")
    return name[place:] if 0 < place < len(name) - 1 else ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be an image, with the label, side and group that its location or table row gives."""

    path: str
    """Path relative to the root, with forward slashes; undecodable bytes are surrogates (PEP 383)."""
    file: str
    """The file in the file system, or in an archive (see `read_file`)."""
    label: str
    side: Side | None = None
    group: str | None = None


@dataclass(frozen=True)
class Found:
    """The contents of a source, before any file is opened."""

    root: Path
    candidates: tuple[Candidate, ...]
    skipped: tuple[SkippedFile, ...] = ()
    findings: tuple[Finding, ...] = ()
    layout: str = ""
    """How the folder or table was understood, in one line."""
    source: str = ""
    """What tells this data set from others with the same root: a table and its column of labels; empty for a
    folder."""
    task: TaskName = "classification"
    """What the labels mean."""
    hint: str = ""
    """What else the user may have meant, in a sentence; added to the error if no two classes are usable."""
