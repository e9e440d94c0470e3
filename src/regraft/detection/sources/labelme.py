"""LabelMe JSON: a file for each picture; shapes as points in pixels, of which the box around is used.

```json
{"imagePath": "a.jpg", "imageWidth": 640, "imageHeight": 480,
 "shapes": [{"label": "cat", "shape_type": "rectangle", "points": [[12, 8], [96, 70]]}]}
```
"""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import Any

from regraft.detection.sources.documents import (
    json_of,
    list_of,
    name_of,
    numbers_of,
    stated_size,
    table_of,
)
from regraft.detection.sources.sheets import Corners, Document, Mark, Sheet, around, marks_of
from regraft.errors import DataError

_ENCLOSING = ("rectangle", "polygon", "circle", "mask", "oriented_rectangle")


def read_labelme(document: Document) -> list[Sheet]:
    """The boxes of one file; a rectangle may be drawn from any of its corners.

    Raises:
        DataError: the file is not JSON, or of another format.
    """
    whole = table_of(json_of(document.data), "the file")
    marks, refused = marks_of(list_of(whole.get("shapes"), "shapes"), _marks, "shape")
    written = whole.get("imagePath")
    names = [written] if isinstance(written, str) and written else []
    size = stated_size(whole.get("imageWidth"), whole.get("imageHeight"))
    return [Sheet((*names, PurePosixPath(document.name).stem), marks, refused, size)]


def _marks(where: str, item: Any) -> list[Mark]:
    shape = table_of(item, where)
    kind = shape.get("shape_type") or "polygon"
    if kind not in _ENCLOSING:
        raise DataError(f"a shape of the type {str(kind)[:40]!r} encloses nothing")
    points = [numbers_of(point, "x y") for point in list_of(shape.get("points"), "points")]
    corners = _circle(points) if kind == "circle" else around((x, y) for x, y in points)
    return [Mark(where, name_of(shape.get("label")), corners)]


def _circle(points: list[list[float]]) -> Corners:
    if len(points) != 2:
        raise DataError(f"a circle has a centre and a point on its edge, not {len(points)} points")
    (x, y), edge = points
    radius = math.dist((x, y), edge)
    return x - radius, y - radius, x + radius, y + radius
