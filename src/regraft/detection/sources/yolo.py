"""YOLO: a text file for each picture; number of the class, centre and size as shares of the picture.

```text
0 0.084375 0.08125 0.13125 0.129167
```

The names of the classes are in `data.yaml`, `classes.txt` or `obj.names`. A longer row is a polygon.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from regraft.detection.sources.documents import MAX_MARKS, number_of, text_of
from regraft.detection.sources.sheets import Corners, Document, Mark, Sheet, around, marks_of
from regraft.errors import DataError

NAME_FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names", "_darknet.labels")
"""Files that hold the names of classes; any other .yaml file with `names:` and .names file counts too."""
_MAX_CLASSES = 100_000
_ROW = re.compile(rb"\s*\d+(\s+[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?){4,}\s*(\r?\n|\r|$)")
_DOUBLE, _SINGLE = re.compile(r'"((?:\\.|[^"\\])*)"'), re.compile(r"'((?:''|[^'])*)'")
_KEYED = re.compile(r"""\s+["']?(\d+)["']?\s*:\s*(.+)""")


def is_yolo(head: bytes) -> bool:
    """Whether a text file begins like one of boxes: a whole number and at least four numbers.

    >>> is_yolo(b"0 0.5 0.5 0.1 0.2"), is_yolo(b"a photo of a cat"), is_yolo(b"2 1")
    (True, False, False)
    """
    return _ROW.match(head.removeprefix(b"\xef\xbb\xbf").lstrip()) is not None


def read_yolo(document: Document) -> list[Sheet]:
    """The boxes of one text file; an empty file says that its picture is a background.

    Raises:
        DataError: the file is not text, or has too many lines.
    """
    lines = text_of(document.data).splitlines()
    if len(lines) > MAX_MARKS:
        raise DataError(f"has {len(lines):,} lines; at most {MAX_MARKS:,} are accepted")
    remarks: list[str] = []

    def read(where: str, line: str) -> list[Mark]:
        words = line.split()
        return [_mark(where, words, document.classes, remarks)] if words else []

    marks, refused = marks_of(lines, read, "line")
    stem = PurePosixPath(document.name).stem
    return [Sheet((stem,), marks, refused, unit="shares", remarks=tuple(dict.fromkeys(remarks)))]


def _mark(where: str, words: list[str], classes: tuple[str, ...] | None, remarks: list[str]) -> Mark:
    if not (words[0].isascii() and words[0].isdigit() and len(words[0]) < 10):
        raise DataError(f"the number of the class is {words[0][:40]!r}, not a whole number from 0")
    number = int(words[0])
    if classes is None:
        label = str(number)
        remarks.append(
            "no file names the classes (data.yaml, classes.txt, obj.names); their numbers are used"
        )
    elif number < len(classes):
        label = classes[number]
    else:
        raise DataError(f"class {number} has no name; there are {len(classes)}, from 0 to {len(classes) - 1}")
    return Mark(where, label, _corners([number_of(word, "a coordinate") for word in words[1:]], remarks))


def _corners(values: list[float], remarks: list[str]) -> Corners:
    if len(values) == 5:
        remarks.append("rows of 6 numbers are predictions; their last number, the confidence, is not used")
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) >= 6 and len(values) % 2 == 0:
        remarks.append("rows with more than 5 numbers are polygons; the box around each is used")
        return around(zip(values[::2], values[1::2], strict=True))
    raise DataError(f"{len(values)} numbers follow the class; a box has 4, a polygon an even number from 6")


def class_names(name: str, data: bytes) -> tuple[str, ...] | None:
    r"""The names of classes in a file such as data.yaml or classes.txt; None if it holds none.

    Of YAML, only `names:` is read: a list in brackets, a list of lines, or a line `0: cat` for each.

    Raises:
        DataError: the file is not text, or names too many classes.

    >>> class_names("data.yaml", b"nc: 2\nnames: ['cat', dog]")
    ('cat', 'dog')
    """
    text = text_of(data)
    if name.lower().endswith((".yaml", ".yml")):
        names = _names_in_yaml(text)
    else:
        names = [line.strip() for line in text.strip().splitlines()]
    if len(names) > _MAX_CLASSES:
        raise DataError(f"names {len(names):,} classes; at most {_MAX_CLASSES:,} are accepted")
    return tuple(names) or None


def _names_in_yaml(text: str) -> list[str]:
    found = re.search(r"^names\s*:[ \t]*(.*)$", text, re.MULTILINE)
    if found is None:
        return []
    rest = text[found.end() :]
    opened = found[1].split(" #")[0].strip()
    if opened[:1] in ("[", "{"):
        closing = "]" if opened[0] == "[" else "}"
        inner = (found[1] + rest).partition(closing)[0][1:]
        parts = [part.strip() for part in inner.replace("\n", " ").split(",")]
        if closing == "}":
            parts = [part.partition(":")[2].strip() for part in parts]
        return [_plain(part) for part in parts if part]
    names: dict[int, str] = {}
    for line in rest.splitlines()[1:]:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        keyed, listed = _KEYED.match(line), re.match(r"\s*-\s+(.+)", line)
        if keyed and len(keyed[1]) < 6:
            names[int(keyed[1])] = _plain(keyed[2])
        elif listed:
            names[len(names)] = _plain(listed[1])
        else:
            break
    return [names.get(number, str(number)) for number in range(max(names, default=-1) + 1)]


def _plain(text: str) -> str:
    r"""A YAML scalar as text; of escapes in double quotes, those that JSON has as well.

    >>> [_plain(text) for text in ("'it''s'", r'"a \"b\""', "cat # tom", "'cat' # tom")]
    ["it's", 'a "b"', 'cat', 'cat']
    """
    text = text.strip()
    if (quoted := _DOUBLE.match(text)) is not None:
        try:
            return str(json.loads(quoted[0], strict=False))
        except ValueError:
            return quoted[1]
    if (quoted := _SINGLE.match(text)) is not None:
        return quoted[1].replace("''", "'")
    if text[:1] in ("'", '"'):
        return text[1:].partition(text[0])[0]
    return text.partition(" #")[0].strip()
