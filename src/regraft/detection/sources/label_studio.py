"""Label Studio JSON, in full or as JSON-MIN: a list of tasks; left, top, width and height in per cent.

```json
[{"data": {"image": "/data/upload/1/3f2a91bc-a.jpg"}, "annotations": [{"result": [
  {"type": "rectanglelabels", "original_width": 640, "original_height": 480,
   "value": {"x": 1.875, "y": 1.6667, "width": 13.125, "height": 12.9167, "rectanglelabels": ["cat"]}}]}]}]
```
"""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from regraft.data.sources.column_names import IMAGE_ENDINGS
from regraft.detection.sources.documents import (
    json_of,
    list_of,
    name_of,
    number_of,
    numbers_of,
    stated_size,
    table_of,
)
from regraft.detection.sources.sheets import Corners, Document, Mark, Sheet, around, marks_of
from regraft.errors import DataError

_SHAPES = ("rectanglelabels", "polygonlabels", "brushlabels", "keypointlabels", "ellipselabels")
_HASH = re.compile(r"^[0-9a-f]{8}-")  # which Label Studio puts before the name of an uploaded file


def read_label_studio(document: Document) -> list[Sheet]:
    """The boxes of all tasks. Of several annotators' work on one task, the first is used, with a remark.

    Raises:
        DataError: the file is not JSON, or of another format.
    """
    tasks = list_of(json_of(document.data), "the file")
    return [_sheet(table_of(task, f"task {number}")) for number, task in enumerate(tasks, start=1)]


def _sheet(task: dict[str, Any]) -> Sheet:
    results, remarks = _results(task)
    marks, refused = marks_of(results, _marks, "region")
    shaped = [result for result in results if isinstance(result, dict)]
    sizes = [stated_size(result.get("original_width"), result.get("original_height")) for result in shaped]
    size = next((size for size in sizes if size is not None), None)
    return Sheet(_names(task), marks, refused, size, "shares", remarks=remarks)


def _results(task: dict[str, Any]) -> tuple[list[Any], tuple[str, ...]]:
    works = task.get("annotations", task.get("completions"))
    if works is None or (
        isinstance(works, list) and any("result" not in work for work in works if isinstance(work, dict))
    ):
        # JSON-MIN: the regions are below the name of their tool.
        lists = [value for value in task.values() if isinstance(value, list)]
        return [region for value in lists for region in value], ()
    done = [
        table_of(work, "an annotation")
        for work in list_of(works, "annotations")
        if not (isinstance(work, dict) and work.get("was_cancelled"))
    ]
    remarks = ("tasks were annotated several times; the first annotation is used",) if len(done) > 1 else ()
    return (list_of(done[0].get("result"), "result") if done else []), remarks


def _marks(where: str, item: Any) -> list[Mark]:
    region = table_of(item, where)
    kind = region.get("type")
    value = table_of(region.get("value", region), "value")
    labels = value.get("rectanglelabels", value.get("polygonlabels"))
    if labels is None:
        if kind is None or kind in _SHAPES:
            raise DataError(f"a region of the type {kind or 'unknown'} without a rectangle and its label")
        return []  # a choice, a rating or a text about the whole picture
    corners = _corners(value, region)
    return [Mark(where, name_of(label), corners) for label in list_of(labels, "labels")]


def _corners(value: dict[str, Any], region: dict[str, Any]) -> Corners:
    if "points" in value:
        points = [numbers_of(point, "x y") for point in list_of(value["points"], "points")]
        return _shares(around((x, y) for x, y in points))
    x, y, width, height = (number_of(value.get(name), name) for name in ("x", "y", "width", "height"))
    angle = math.radians(number_of(value.get("rotation") or 0, "rotation"))
    if not angle:
        return _shares((x, y, x + width, y + height))
    across, down = stated_size(region.get("original_width"), region.get("original_height")) or (0.0, 0.0)
    if across <= 0 or down <= 0:
        raise DataError("a turned rectangle needs original_width and original_height")
    # It is turned about its top left corner, in pixels, so the two axes need their own scales.
    scale = down / across
    ends = [(0.0, 0.0), (width, 0.0), (0.0, height * scale), (width, height * scale)]
    turned = [
        (a * math.cos(angle) - b * math.sin(angle), a * math.sin(angle) + b * math.cos(angle))
        for a, b in ends
    ]
    return _shares(around((x + a, y + b / scale) for a, b in turned))


def _shares(corners: Corners) -> Corners:
    left, top, right, bottom = (value / 100 for value in corners)
    return left, top, right, bottom


def _names(task: dict[str, Any]) -> tuple[str, ...]:
    """The names that the picture of a task may have: without the prefix of an upload, and with it."""
    inner = task.get("data")
    values = (inner if isinstance(inner, dict) else task).values()
    texts = [value for value in values if isinstance(value, str)]
    endings = tuple(IMAGE_ENDINGS)
    chosen = next((text for text in texts if text.lower().split("?")[0].endswith(endings)), None)
    chosen = chosen or next((text for text in texts if text.lower().endswith(endings)), None)
    if chosen is None:
        return ("picture of a task without a file name",)
    try:
        parts = urlsplit(chosen)
        path = unquote(parse_qs(parts.query).get("d", [parts.path or chosen])[0])
    except ValueError:
        path = chosen
    folder, _, last = path.rpartition("/")
    bare = _HASH.sub("", last)
    return (path, f"{folder}/{bare}" if folder else bare) if bare != last else (path,)
