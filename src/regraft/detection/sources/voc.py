"""Pascal VOC XML (LabelImg, Roboflow, CVAT): a file for each picture, corners in pixels.

```xml
<annotation><filename>a.jpg</filename><size><width>640</width><height>480</height></size>
  <object><name>cat</name><difficult>0</difficult>
    <bndbox><xmin>12</xmin><ymin>8</ymin><xmax>96</xmax><ymax>70</ymax></bndbox></object></annotation>
```
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import PurePosixPath

from regraft.detection.sources.documents import name_of, number_of, stated_size, xml_of
from regraft.detection.sources.sheets import Document, Mark, Sheet, marks_of
from regraft.errors import DataError


def read_voc(document: Document) -> list[Sheet]:
    """The boxes of one XML file. Its own name says which picture it is about, as `filename` often lies.

    Raises:
        DataError: the file is not XML, or of another format.
    """
    root = xml_of(document.data)
    if root.tag != "annotation":
        raise DataError(f"its root element is {root.tag[:60]!r}; Pascal VOC has 'annotation'")
    marks, refused = marks_of(root.findall("object"), _marks)
    size = stated_size(root.findtext("size/width"), root.findtext("size/height"))
    written = (root.findtext("filename") or "").strip()
    names = (PurePosixPath(document.name).stem, *([written] if written else []))
    return [Sheet(names, marks, refused, size)]


def _marks(where: str, item: ET.Element) -> list[Mark]:
    frame = item.find("bndbox")
    if frame is None:
        raise DataError("it has no bndbox")
    x_min, y_min, x_max, y_max = (
        number_of(frame.findtext(name), name) for name in ("xmin", "ymin", "xmax", "ymax")
    )
    is_difficult = (item.findtext("difficult") or "").strip() == "1"
    label = name_of(item.findtext("name"), "name")
    return [Mark(where, label, (x_min, y_min, x_max, y_max), is_difficult=is_difficult)]
