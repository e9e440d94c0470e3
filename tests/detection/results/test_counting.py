from __future__ import annotations

import csv
import io

from regraft.detection.maps.found import Found
from regraft.detection.results.counting import count_boxes, count_chunks
from regraft.detection.results.marked import found_boxes

MARKED = found_boxes(
    [
        ("a/1.jpg", 9, 9, Found.of([[0, 0, 2, 2], [4, 4, 6, 6], [1, 1, 3, 3]], [0, 0, 1], [0.9, 0.6, 0.4])),
        ("=b.jpg", 9, 9, Found.of([], [], [])),
        ("c.jpg", 9, 9, Found.of([[0, 0, 2, 2]], [1], [0.9])),
    ],
    ["cat", "total"],
    0.5,
)
COUNTS = count_boxes(MARKED)


def test_boxes_above_the_threshold_are_counted() -> None:
    assert COUNTS.counts == ((2, 0), (0, 0), (0, 1))
    assert COUNTS.totals == (2, 1)


def test_the_table_has_a_row_for_each_picture_and_the_totals() -> None:
    rows = list(csv.reader(io.StringIO(b"".join(count_chunks(MARKED.pictures, MARKED.labels)).decode())))
    assert rows == [
        ["path", "boxes", "cat", "total"],
        ["a/1.jpg", "2", "2", "0"],
        ["'=b.jpg", "0", "0", "0"],
        ["c.jpg", "1", "0", "1"],
        ["total", "3", "2", "1"],
    ]


def test_the_record_says_the_same() -> None:
    record = COUNTS.record()
    assert record["total"] == {"boxes": 3, "classes": {"cat": 2, "total": 1}}
    assert record["pictures"][0] == {"path": "a/1.jpg", "boxes": 2, "classes": {"cat": 2, "total": 0}}
