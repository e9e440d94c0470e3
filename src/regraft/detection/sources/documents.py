"""XML, JSON, numbers and names from files that may be damaged or hostile: each is refused with a reason."""

from __future__ import annotations

import codecs
import json
import re
import xml.etree.ElementTree as ET
from typing import Any, NoReturn

import numpy as np

from regraft.errors import DataError

MAX_FILE_MB = 256.0
"""A larger annotation file is refused before it is read."""
MAX_MARKS = 1_000_000
"""A file with more boxes is refused."""
_MAX_DEPTH = 64
_MOST = 1e7  # a coordinate beyond 10,000,000 pixels is no coordinate
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARATION = re.compile(r"\s*<\?xml[^>]*?\?>", re.DOTALL)
_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.-]{1,40})["']""")
_CHUNK = 65_536


def text_of(data: bytes, encoding: str = "utf-8") -> str:
    """The text of a file: by its byte order mark, otherwise in `encoding`.

    Raises:
        DataError: the bytes are not text in that encoding.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], name
            break
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        place = f" at byte {error.start:,}" if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"is not text in {encoding}{place}; save it as UTF-8") from None
    if "\0" in text:
        raise DataError("has a NUL character, so it is no text file or is damaged")
    return text


def json_of(data: bytes) -> Any:
    """The value of a JSON file without NaN, infinity, repeated keys and deep nesting.

    Raises:
        DataError: it is no such file.

    >>> json_of(b'{"a": [1]}')
    {'a': [1]}
    """
    text = text_of(data)
    if _depth(data) > _MAX_DEPTH and _depth(re.sub(r'"(\\.|[^"\\])*"', "", text).encode()) > _MAX_DEPTH:
        raise DataError(f"is nested more than {_MAX_DEPTH} levels deep")
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_repetition)
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {str(error)[:160]}") from None


def _depth(data: bytes) -> int:
    """The deepest nesting of brackets, those within text included."""
    level = deepest = 0
    for start in range(0, len(data), 1 << 20):
        codes = np.frombuffer(data, np.uint8, count=min(1 << 20, len(data) - start), offset=start)
        steps = np.isin(codes, (0x5B, 0x7B)).astype(np.int32) - np.isin(codes, (0x5D, 0x7D))
        levels = level + np.cumsum(steps)
        deepest, level = max(deepest, int(levels.max())), int(levels[-1])
    return deepest


def _refuse_constant(name: str) -> NoReturn:
    raise DataError(f"has the value {name}, which is not a number of JSON")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in value if names.count(name) > 1)
        raise DataError(f"has the key {twice[:80]!r} twice in one object, so its meaning is not clear")
    return value


def xml_of(data: bytes) -> ET.Element:
    """The root of an XML file without a document type and entities of its own.

    Raises:
        DataError: it is no such file.

    >>> xml_of(b"<a><b>1</b></a>").findtext("b")
    '1'
    """
    stated = _ENCODING.search(data[:400])
    text = text_of(data, stated[1].decode() if stated else "utf-8")
    for word in ("<!DOCTYPE", "<!ENTITY"):
        if word in text:
            raise DataError(f"has {word}: document types and entities are refused; remove them")
    text = _DECLARATION.sub("", text, count=1)
    parser: Any = ET.XMLPullParser(events=("start", "end"))
    depth, root = 0, None
    try:
        for start in range(0, len(text), _CHUNK):
            parser.feed(text[start : start + _CHUNK])
            for event, element in parser.read_events():
                depth += 1 if event == "start" else -1
                root = element if root is None and isinstance(element, ET.Element) else root
                if depth > _MAX_DEPTH:
                    raise DataError(f"is nested more than {_MAX_DEPTH} levels deep")
        parser.close()
    except ET.ParseError as error:
        raise DataError(f"is not valid XML: {error}") from None
    if root is None:
        raise DataError("is not valid XML: it has no element")
    return root


def number_of(value: Any, name: str) -> float:
    """A finite number from a number or from text, with a point or a comma.

    Raises:
        DataError: it is missing, not a number, NaN, infinite, or beyond 10,000,000.

    >>> number_of(" 3,5 ", "x")
    3.5
    """
    if value is None or value == "":
        raise DataError(f"{name} is missing")
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value.strip().replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{name} is {_short(value)}, not a number")
    if not abs(value) <= _MOST:
        shown = "NaN" if value != value else f"{value:.3g}" if abs(value) <= 1e300 else "too large"
        raise DataError(f"{name} is {shown}; accepted are numbers up to {_MOST:,.0f}")
    return float(value)


def numbers_of(values: Any, names: str) -> list[float]:
    """As many numbers as there are names.

    Raises:
        DataError: there is another number of values, or one is not a number.
    """
    words = names.split()
    if not isinstance(values, list | tuple) or len(values) != len(words):
        raise DataError(f"{', '.join(words)} are expected, not {_short(values)}")
    return [number_of(value, word) for value, word in zip(values, words, strict=True)]


def name_of(value: Any, what: str = "label") -> str:
    """A label as written, not empty.

    Raises:
        DataError: it is missing, or neither text nor a whole number.
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{what} is missing" if not value else f"{what} is {_short(value)}, not text")
    if len(value) > 1000:
        raise DataError(f"{what} has {len(value):,} characters; at most 256 are accepted")
    return value


def table_of(value: Any, what: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, dict):
        raise DataError(f"{what} is {_short(value)}, not an object in braces")
    return value


def list_of(value: Any, what: str) -> list[Any]:
    """A JSON list that is short enough.

    Raises:
        DataError: it is something else, or longer than `MAX_MARKS`.
    """
    if not isinstance(value, list):
        raise DataError(f"{what} is {_short(value)}, not a list in brackets")
    if len(value) > MAX_MARKS:
        raise DataError(f"{what} has {len(value):,} entries; at most {MAX_MARKS:,} are accepted")
    return value


def stated_size(width: Any, height: Any) -> tuple[float, float] | None:
    """The size of a picture that a file states; None if it states none that can be read."""
    try:
        return number_of(width, "width"), number_of(height, "height")
    except DataError:
        return None


def _short(value: Any) -> str:
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'object'} of {len(value):,} entries"
    return "missing" if value is None else repr(value) if isinstance(value, bool | float) else "a number"
