"""How many boxes of each class there are in each picture, as a table and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from regraft.detection.results.marked import MarkedPicture, MarkedSet
from regraft.storage.tables import csv_bytes, printable


@dataclass(frozen=True)
class BoxCounts:
    """The number of boxes by picture and class."""

    labels: tuple[str, ...]
    paths: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """For each picture the number of boxes of each class."""

    @property
    def totals(self) -> tuple[int, ...]:
        """The number of boxes of each class in all pictures."""
        return tuple(sum(row[place] for row in self.counts) for place in range(len(self.labels)))

    def record(self) -> dict[str, Any]:
        """The counts as a JSON object."""
        return {
            "labels": list(self.labels),
            "pictures": [
                {
                    "path": printable(path),
                    "boxes": sum(row),
                    "classes": dict(zip(self.labels, row, strict=True)),
                }
                for path, row in zip(self.paths, self.counts, strict=True)
            ],
            "total": {"boxes": sum(self.totals), "classes": dict(zip(self.labels, self.totals, strict=True))},
        }


def count_boxes(marked: MarkedSet) -> BoxCounts:
    """The number of boxes of each class in each picture; of found boxes, thresholds were applied before.

    >>> from regraft.detection.maps.found import Found
    >>> from regraft.detection.results.marked import found_boxes
    >>> found = Found.of([[0, 0, 2, 2], [4, 4, 6, 6], [8, 8, 9, 9]], [0, 0, 1], [0.9, 0.8, 0.1])
    >>> count_boxes(found_boxes([("a.jpg", 9, 9, found)], ["cat", "dog"], 0.5)).counts
    ((2, 0),)
    """
    rows = tuple(_counts(picture, marked.labels) for picture in marked.pictures)
    return BoxCounts(marked.labels, tuple(picture.path for picture in marked.pictures), rows)


def _counts(picture: MarkedPicture, labels: Sequence[str]) -> tuple[int, ...]:
    counted = Counter(mark.box.label for mark in picture.boxes)
    return tuple(counted[label] for label in labels)


def count_chunks(pictures: Iterable[MarkedPicture], labels: Sequence[str]) -> Iterator[bytes]:
    """The counts as CSV, picture by picture: path, all boxes, and a column for each class; then the total."""
    totals = [0] * len(labels)
    yield csv_bytes(("path", "boxes", *labels), ())
    for picture in pictures:
        row = _counts(picture, labels)
        totals = [total + own for total, own in zip(totals, row, strict=True)]
        yield _line([picture.path, sum(row), *row])
    yield _line(["total", sum(totals), *totals])


def _line(cells: Sequence[str | int]) -> bytes:
    return csv_bytes((), [cells]).split(b"\n", 1)[1]
