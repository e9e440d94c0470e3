"""COCO JSON: one file for many pictures; left, top, width and height in pixels.

```json
{"images": [{"id": 7, "file_name": "a.jpg", "width": 640, "height": 480}],
 "categories": [{"id": 3, "name": "cat"}],
 "annotations": [{"image_id": 7, "category_id": 3, "bbox": [12, 8, 84, 62], "iscrowd": 0}]}
```
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from regraft.detection.sources.documents import json_of, list_of, name_of, numbers_of, stated_size, table_of
from regraft.detection.sources.sheets import Document, Mark, Sheet
from regraft.errors import DataError


def read_coco(document: Document) -> list[Sheet]:
    """The boxes of all pictures that the file lists; those without annotations are backgrounds.

    Raises:
        DataError: the file is not JSON, of another format, or uses an id twice.
    """
    whole = table_of(json_of(document.data), "the file")
    images = _by_id(whole.get("images"), "images")
    categories = _by_id(whole.get("categories"), "categories")
    marks: dict[str, list[Mark]] = defaultdict(list)
    refused: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for number, item in enumerate(list_of(whole.get("annotations"), "annotations"), start=1):
        where, picture = f"annotation {number}", "unknown"
        try:
            item = table_of(item, where)
            picture = _id(item.get("image_id"), "image_id")
            marks[picture].append(_mark(where, item, categories))
        except DataError as error:
            refused[picture].append((where, str(error)))
    sheets = []
    for key in dict.fromkeys([*images, *marks, *refused]):
        image = images.get(key, {})
        name = image.get("file_name")
        names = (name,) if isinstance(name, str) and name else (f"picture with the id {key}",)
        size = stated_size(image.get("width"), image.get("height"))
        sheets.append(Sheet(names, tuple(marks[key]), tuple(refused[key]), size))
    return sheets


def _mark(where: str, item: dict[str, Any], categories: dict[str, dict[str, Any]]) -> Mark:
    key = _id(item.get("category_id"), "category_id")
    if key not in categories:
        raise DataError(f"category_id {key} is not in categories")
    if not item.get("bbox"):
        raise DataError("bbox is missing")
    left, top, width, height = numbers_of(item["bbox"], "x y width height")
    label = name_of(categories[key].get("name"), "the name of its category")
    is_crowd = item.get("iscrowd") in (1, True, "1")
    return Mark(where, label, (left, top, left + width, top + height), is_crowd=is_crowd)


def _by_id(items: Any, what: str) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for item in list_of(items, what):
        key = _id(table_of(item, f"an entry of {what}").get("id"), f"id in {what}")
        if key in known:
            raise DataError(f"two entries of {what} have the id {key}, so its meaning is not clear")
        known[key] = item
    return known


def _id(value: Any, what: str) -> str:
    return name_of(value, what).strip()[:200]
