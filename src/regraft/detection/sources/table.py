"""CSV and TSV tables: a row for each box, with corners in pixels or as shares of the picture.

```text
path,label,x_min,y_min,x_max,y_max
a.jpg,cat,12,8,96,70
```

The usual names of columns are understood (TensorFlow's, Open Images', RetinaNet's table without names), also
left, top, width and height. A row without coordinates says that its picture is a background.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from regraft.data.sources.candidates import SIDES
from regraft.data.sources.column_names import IMAGE_ENDINGS, plain_name
from regraft.data.sources.delimited import Line, read_delimited
from regraft.detection.sources.documents import MAX_MARKS, name_of, number_of, stated_size
from regraft.detection.sources.sheets import Mark, Sheet
from regraft.errors import DataError
from regraft.storage.tables import unguarded

MAX_TABLE_MB = 64.0
"""A larger table is refused before it is read: it has about a million rows."""
_PATHS_LISTED = """
    path filename filepath filenames imagepath imgpath file image imageid imagename img imgname
"""
_LABELS_LISTED = "label class classname labelname category categoryname species object name"
_PATHS, _LABELS = _PATHS_LISTED.split(), _LABELS_LISTED.split()
_CORNERS = (
    ["xmin", "x1", "xtl", "xleft", "bboxxmin", "boxxmin"],
    ["ymin", "y1", "ytl", "ytop", "bboxymin", "boxymin"],
    ["xmax", "x2", "xbr", "xright", "bboxxmax", "boxxmax"],
    ["ymax", "y2", "ybr", "ybottom", "bboxymax", "boxymax"],
)
_SIDED = (
    ["left", "x", "bboxx", "bboxleft", "xmin"],
    ["top", "y", "bboxy", "bboxtop", "ymin"],
    ["width", "w", "bboxw", "bboxwidth", "boxwidth"],
    ["height", "h", "bboxh", "bboxheight", "boxheight"],
)
_SIZES = (["width", "imagewidth", "imgwidth", "imwidth"], ["height", "imageheight", "imgheight", "imheight"])


@dataclass(frozen=True)
class BoxColumns:
    """The places of the columns that are read."""

    path: int
    label: int
    frame: tuple[int, int, int, int]
    """Left, top, and right and bottom, or width and height."""
    is_sided: bool
    """Whether the last two of `frame` are width and height."""
    size: tuple[int, int] | None
    """Width and height of the picture, if the table has them."""
    split: int | None


def box_columns(names: Sequence[str]) -> BoxColumns | None:
    """The columns of a table of boxes by the cells of its first row; None if it is another table.

    >>> box_columns(["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]).frame
    (4, 5, 6, 7)
    >>> box_columns(["path", "label"]) is None
    True
    """
    if _is_row(names):
        return BoxColumns(0, 5, (1, 2, 3, 4), is_sided=False, size=None, split=None)
    plain = [plain_name(name) for name in names]
    path, label = _place(plain, _PATHS), _place(plain, _LABELS)
    frame = [_place(plain, usual) for usual in _CORNERS]
    is_sided = None in frame
    frame = [_place(plain, usual) for usual in _SIDED] if is_sided else frame
    known = tuple(place for place in frame if place is not None)
    if path is None or label is None or len(known) < 4:
        return None
    size = tuple(_place(plain, usual) for usual in _SIZES)
    has_size = not is_sided and None not in size
    split = _place(plain, ["split", "subset", "set", "partition"])
    sized = (size[0] or 0, size[1] or 0) if has_size else None
    return BoxColumns(path, label, (known[0], known[1], known[2], known[3]), is_sided, sized, split)


def _place(plain: Sequence[str], usual: Iterable[str]) -> int | None:
    return next((plain.index(name) for name in usual if name in plain), None)


def _is_row(cells: Sequence[str]) -> bool:
    """Whether the first row is a box already, as in RetinaNet's tables: path, four numbers, class."""
    if len(cells) != 6 or not cells[0].lower().endswith(tuple(IMAGE_ENDINGS)):
        return False
    try:
        left, top, right, bottom = (number_of(cell, "") for cell in cells[1:5])
    except DataError:
        return not any(cell.strip() for cell in cells[1:])
    return left < right and top < bottom and stated_size(cells[5], 1) is None


def read_table(file: Path) -> list[Sheet]:
    """The boxes of all pictures that a table names.

    Args:
        file: the table, whose size was checked.

    Raises:
        DataError: the table can't be read, has too many rows, or lacks a column.
    """
    usual = {word for words in (_PATHS, _LABELS, *_CORNERS, *_SIDED, *_SIZES) for word in words}
    table = read_delimited(file, usual)
    columns = box_columns(table.names)
    if columns is None:
        raise DataError(
            f"has the columns {', '.join(table.names)[:200]}; a table of boxes has path, label, x_min, "
            "y_min, x_max and y_max"
        )
    lines = [Line(1, table.names), *table.lines] if _is_row(table.names) else list(table.lines)
    if len(lines) > MAX_MARKS:
        raise DataError(f"has {len(lines):,} rows; at most {MAX_MARKS:,} are accepted")
    by_picture: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        written = _text(line, columns.path)
        by_picture[written or f"row {line.number} without a path"].append(line)
    return [_sheet(written, rows, columns) for written, rows in by_picture.items()]


def _sheet(written: str, lines: Sequence[Line], columns: BoxColumns) -> Sheet:
    marks: list[Mark] = []
    refused: list[tuple[str, str]] = []
    for line in lines:
        if not any(_cell(line, place).strip() for place in columns.frame):
            continue
        try:
            marks.append(_mark(line, columns))
        except DataError as error:
            refused.append((f"row {line.number}", str(error)))
    size = columns.size and stated_size(*(_cell(lines[0], place) for place in columns.size))
    stated = (
        {_cell(line, columns.split).strip().lower() for line in lines} if columns.split is not None else set()
    )
    sides = {SIDES[word] for word in stated if word in SIDES}
    if len(sides) > 1:
        refused.append((f"row {lines[0].number}", "rows of this picture are on several sides of the split"))
    side = sides.pop() if len(sides) == 1 else None
    return Sheet((written,), tuple(marks), tuple(refused), size, unit=None, side=side)


def _mark(line: Line, columns: BoxColumns) -> Mark:
    words = (
        ("x_min", "y_min", "width", "height") if columns.is_sided else ("x_min", "y_min", "x_max", "y_max")
    )
    left, top, right, bottom = (
        number_of(_cell(line, place), word) for place, word in zip(columns.frame, words, strict=True)
    )
    if columns.is_sided:
        right, bottom = left + right, top + bottom
    return Mark(f"row {line.number}", name_of(_text(line, columns.label)), (left, top, right, bottom))


def _cell(line: Line, place: int) -> str:
    return line.cells[place] if place < len(line.cells) else ""


def _text(line: Line, place: int) -> str:
    """A path or label, without the mark by which spreadsheets are kept from running it as a formula."""
    return unguarded(_cell(line, place).strip())
