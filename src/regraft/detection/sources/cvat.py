"""CVAT XML for images 1.1: one file for many pictures, corners in pixels.

```xml
<annotations><image id="0" name="a.jpg" width="640" height="480">
  <box label="cat" xtl="12" ytl="8" xbr="96" ybr="70" occluded="0"/></image></annotations>
```
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from regraft.data.sources.side_names import side_of
from regraft.detection.sources.documents import MAX_MARKS, name_of, number_of, numbers_of, stated_size, xml_of
from regraft.detection.sources.sheets import Corners, Document, Mark, Sheet, around, marks_of
from regraft.errors import DataError

_SHAPES = frozenset({"box", "polygon", "polyline", "points", "mask", "ellipse", "cuboid", "skeleton"})


def read_cvat(document: Document) -> list[Sheet]:
    """The boxes of all pictures of the file; of polygons the box around them.

    Raises:
        DataError: the file is not XML, of another format, or about a video.
    """
    root = xml_of(document.data)
    if root.tag != "annotations":
        raise DataError(f"its root element is {root.tag[:60]!r}; CVAT has 'annotations'")
    images = root.findall("image")
    if root.find("track") is not None:
        raise DataError("has tracks of a video; export it from CVAT as 'CVAT for images 1.1'")
    if len(images) > MAX_MARKS:
        raise DataError(f"has {len(images):,} pictures; at most {MAX_MARKS:,} are accepted")
    return [_sheet(number, image) for number, image in enumerate(images, start=1)]


def _sheet(number: int, image: ET.Element) -> Sheet:
    marks, refused = marks_of([item for item in image if item.tag in _SHAPES], _marks, "shape")
    name = (image.get("name") or "").strip() or f"picture {number} without a name"
    size = stated_size(image.get("width"), image.get("height"))
    return Sheet((name,), marks, refused, size, side=side_of(image.get("subset") or ""))


def _marks(where: str, item: ET.Element) -> list[Mark]:
    if item.get("outside") == "1":
        return []
    return [Mark(where, name_of(item.get("label")), _corners(item))]


def _corners(item: ET.Element) -> Corners:
    if item.tag == "polygon":
        pairs = [pair.split(",") for pair in (item.get("points") or "").split(";")]
        return around((x, y) for x, y in (numbers_of(pair, "x y") for pair in pairs))
    if item.tag != "box":
        raise DataError(f"a shape of the type {item.tag} is neither a box nor a polygon")
    left, top, right, bottom = (number_of(item.get(name), name) for name in ("xtl", "ytl", "xbr", "ybr"))
    angle = math.radians(number_of(item.get("rotation") or 0, "rotation"))
    if not angle:
        return left, top, right, bottom
    # A box is turned about its centre; the box around the turned one has these half sides.
    x, y, half_x, half_y = (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    across, down = half_x * cosine + half_y * sine, half_x * sine + half_y * cosine
    return x - across, y - down, x + across, y + down
