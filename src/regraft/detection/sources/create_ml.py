"""Create ML JSON (Apple; also Roboflow): one file for many pictures; centre and size in pixels.

```json
[{"image": "a.jpg", "annotations": [
  {"label": "cat", "coordinates": {"x": 54, "y": 39, "width": 84, "height": 62}}]}]
```
"""

from __future__ import annotations

from typing import Any

from regraft.detection.sources.documents import json_of, list_of, name_of, number_of, table_of
from regraft.detection.sources.sheets import Document, Mark, Sheet, marks_of


def read_create_ml(document: Document) -> list[Sheet]:
    """The boxes of all pictures of the file. x and y are the centre, which is the default of Create ML.

    Raises:
        DataError: the file is not JSON, or of another format.
    """
    entries = list_of(json_of(document.data), "the file")
    return [
        _sheet(number, table_of(entry, f"entry {number}")) for number, entry in enumerate(entries, start=1)
    ]


def _sheet(number: int, entry: dict[str, Any]) -> Sheet:
    written = entry.get("image", entry.get("imagefilename"))
    name = written if isinstance(written, str) and written else f"picture {number} without a name"
    items = entry.get("annotations", entry.get("annotation"))
    marks, refused = marks_of(list_of(items, "annotations"), _marks, "annotation")
    return Sheet((name,), marks, refused)


def _marks(where: str, item: Any) -> list[Mark]:
    annotation = table_of(item, where)
    frame = table_of(annotation.get("coordinates"), "coordinates")
    x, y, width, height = (number_of(frame.get(name), name) for name in ("x", "y", "width", "height"))
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return [Mark(where, name_of(annotation.get("label")), corners)]
