"""Regions of Azure Custom Vision's samples: left, top, width and height as shares, by class and picture.

```json
{"cat": {"a": [0.01875, 0.016667, 0.13125, 0.129167]}}
```
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from regraft.detection.sources.documents import json_of, name_of, numbers_of, table_of
from regraft.detection.sources.sheets import Document, Mark, Sheet
from regraft.errors import DataError


def read_regions(document: Document) -> list[Sheet]:
    """The boxes of all pictures; a picture is named without its ending, and may have several boxes.

    Raises:
        DataError: the file is not JSON, or of another format.
    """
    marks: dict[str, list[Mark]] = defaultdict(list)
    refused: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for label, pictures in table_of(json_of(document.data), "the file").items():
        for name, value in table_of(pictures, f"the entry {label[:60]!r}").items():
            is_several = isinstance(value, list) and (not value or isinstance(value[0], list))
            marks[name] += []  # an empty list says that the picture is a background
            for one in value if is_several else [value]:
                where = f"{label[:60]}/{name[:60]}"
                try:
                    marks[name].append(_mark(where, label, one))
                except DataError as error:
                    refused[name].append((where, str(error)))
    names = dict.fromkeys([*marks, *refused])
    return [Sheet((name,), tuple(marks[name]), tuple(refused[name]), unit="shares") for name in names]


def _mark(where: str, label: str, value: Any) -> Mark:
    left, top, width, height = numbers_of(value, "left top width height")
    return Mark(where, name_of(label), (left, top, left + width, top + height))
