"""What is noticed while boxes are read, collected so that a file with a million faults stays bounded."""

from __future__ import annotations

from collections import Counter

from regraft.records import Finding
from regraft.storage.tables import printable

_MOST = 10_000

SUMMARIES = {
    "zero-area": "boxes without area, left out",
    "inverted": "boxes whose right side is left of their left, or bottom above their top, left out",
    "outside": "boxes outside the picture, clipped or left out",
    "clipped": "boxes that end less than 2 pixels or 1 % outside the picture, clipped",
    "duplicate-box": "boxes that are in a file twice; one is kept",
    "conflict": "boxes that are the same and have different labels; both are kept",
    "units": "shares of the picture where pixels are expected, or the other way round",
    "size": "annotation files with another size than the picture's",
    "rotation": "pictures with an EXIF rotation",
    "unreadable-box": "entries that can't be read, left out",
    "no-picture": "annotations whose picture is not there",
    "label": "boxes whose label can't be used, left out",
    "blanks": "labels with needless blanks, which are removed",
    "spelling": "labels that are written almost alike, and are different classes",
    "tiny-class": "classes with fewer than 10 boxes",
    "many-sides": "pictures that are on several sides of the split",
    "no-side": "pictures without a side, in a data set that has sides",
    "leak": "copies of a picture on different sides of the split",
    "conflicting-copies": "copies of a picture with different boxes",
}
"""What each kind is called where many findings are shown as one line."""


class Noticed:
    """Findings in the order in which they were made; of each kind at most 10,000 are kept one by one."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, message: str, *paths: str) -> None:
        """Keep a finding about some files."""
        self._counts[kind] += 1
        if self._counts[kind] <= _MOST:
            self._findings.append(Finding(kind, printable(message), tuple(dict.fromkeys(paths))))

    def all(self) -> tuple[Finding, ...]:
        """All findings; where more were made than are kept, another one with their number."""
        more = [
            Finding(kind, f"{count - _MOST:,} more findings of this kind are not listed")
            for kind, count in self._counts.items()
            if count > _MOST
        ]
        return (*self._findings, *more)
