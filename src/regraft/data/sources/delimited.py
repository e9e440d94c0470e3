"""Text tables as programs really write them: any usual encoding and separator, found out from the text."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from regraft.data.sources.candidates import SIDES
from regraft.data.sources.column_names import IMAGE_ENDINGS, plain_name
from regraft.errors import DataError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "blanks"}
_MARKS = (  # longer marks first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SAMPLE_ROWS = 50


@dataclass(frozen=True)
class Line:
    """One row of a text table."""

    number: int
    """The line of the file on which the row ends, counted from 1."""
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Delimited:
    """The contents of a text table."""

    names: tuple[str, ...]
    """The cells of the first row, or names that the columns got here."""
    lines: tuple[Line, ...]
    """The other rows, without empty ones."""
    encoding: str
    separator: str
    first_number: int = 1
    """The line of the file on which the first row ends."""
    has_names: bool = True
    """Whether the first row of the file names the columns; otherwise they got names here."""


def read_delimited(path: Path, known: Collection[str] = ()) -> Delimited:
    """Read a text table, whatever program wrote it.

    Args:
        path: the file.
        known: names of columns that are likely, as `plain_name` gives them; they help to find the separator.

    Raises:
        DataError: the file can't be read, is empty, is a workbook, or has a quotation mark that isn't closed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"can't read the table {path}: {error.strerror or error}") from error
    if data.startswith(_WORKBOOKS):
        raise DataError(f"{path} is a spreadsheet's workbook, not text; save it as CSV (UTF-8)")
    text, encoding = _decoded(data, path)
    text = text.removeprefix("\ufeff")  # a second byte order mark
    if not text.strip(" \t\r\n,;|\0"):
        raise DataError(
            f"{path} is empty; a table has a line with the names of its columns, and a row for each image"
        )
    stated = re.match(r'"?sep=(.)"?\r?\n', text)
    if stated:
        text = text[stated.end() :]
    separator = stated[1] if stated else _separator(text, known, prefers_tabs=path.suffix.lower() == ".tsv")
    lines = _lines(text, separator, path, skipped=1 if stated else 0)
    names = tuple(name.strip() for name in lines[0].cells)
    return Delimited(names, tuple(lines[1:]), encoding, separator, lines[0].number)


def with_names(table: Delimited) -> Delimited:
    """A table of images whose first row is an image already, with names for its columns; others as they are.

    The column of the images is called path, one of sides split, the only other one label; several others are
    called column_2 and so on.

    Args:
        table: the table.
        known: names of columns that are likely: a row with one of them names columns.

    >>> rows = (Line(2, ("b.jpg", "test", "dog")),)
    >>> with_names(Delimited(("a.jpg", "train", "cat"), rows, "utf-8", ",")).names
    ('path', 'split', 'label')
    """
    paths = [place for place, cell in enumerate(table.names) if is_image_file(cell)]
    if not paths or len(table.names) < 2:
        return table
    rows = [table.names, *(line.cells for line in table.lines)]
    columns = list(zip_longest(*rows, fillvalue=""))[: len(table.names)]
    if 2 * sum(map(is_image_file, columns[paths[0]])) < len(rows):
        return table
    names = {paths[0]: "path"}
    for place, cells in enumerate(columns):
        words = {cell.strip().lower() for cell in cells} - {""}
        if place not in names and len(words) > 1 and words <= SIDES.keys() and "split" not in names.values():
            names[place] = "split"
    others = [place for place in range(len(columns)) if place not in names]
    names |= {place: "label" if len(others) == 1 else f"column_{place + 1}" for place in others}
    ordered = tuple(names[place] for place in range(len(columns)))
    lines = (Line(table.first_number, table.names), *table.lines)
    return replace(table, names=ordered, lines=lines, has_names=False)


def is_image_file(cell: str | None) -> bool:
    """Whether a cell ends like the name of an image."""
    return PurePosixPath((cell or "").strip().replace("\\", "/")).suffix.lower() in IMAGE_ENDINGS


def _decoded(data: bytes, path: Path) -> tuple[str, str]:
    """The text, and its encoding."""
    guess = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    if guess is None and b"\0" in data[:2000]:  # UTF-16 without a mark: every other byte of plain text is 0
        guess = "utf-16-be" if data[:2000:2].count(0) > data[1:2000:2].count(0) else "utf-16-le"
    try:
        for encoding in (guess,) if guess else ("utf-8", "cp1252"):
            try:
                return data.decode(encoding), encoding
            except UnicodeDecodeError:
                if guess:
                    raise
        return data.decode("latin-1"), "latin-1"
    except UnicodeDecodeError as error:
        raise DataError(
            f"can't read the table {path} as {guess}: {error.reason}; save it as UTF-8"
        ) from error


def _separator(text: str, known: Collection[str], *, prefers_tabs: bool) -> str:
    """The separator with which the header has known names, and the rows as many cells as the header."""
    order = sorted(SEPARATORS, key=lambda separator: prefers_tabs and separator != "\t")
    best, best_score = order[0], (-1, -1.0)
    head = text[:100_000]
    for separator in order:
        rows = [row for row in _sample(head, separator) if any(row)]
        if not rows or len(rows[0]) < 2:
            continue
        familiar = min(2, sum(plain_name(name) in known for name in rows[0]))
        others = rows[1:] or rows
        steady = sum(len(row) == len(rows[0]) for row in others) / len(others)
        if separator == " " and (best_score[0] >= 0 or steady < 0.9):
            continue
        if (familiar, steady) > best_score:
            best, best_score = separator, (familiar, steady)
    return best


def _sample(text: str, separator: str) -> list[list[str]]:
    rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True):
            rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:  # found again, and told, when the whole file is read
        pass
    return rows


def _lines(text: str, separator: str, path: Path, *, skipped: int) -> list[Line]:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    lines: list[Line] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                lines.append(Line(reader.line_num + skipped, tuple(row)))
    except csv.Error as error:
        last = lines[-1].number if lines else 0
        raise DataError(
            f"can't read the table {path} after line {last}: {error}. Perhaps a quotation mark is not "
            'closed; write those within quoted text twice ("")'
        ) from error
    return lines


def described(table: Delimited) -> Sequence[str]:
    """What is unusual about how a text table is written, as phrases."""
    names = {"utf-8-sig": "UTF-8 with a byte order mark", "cp1252": "Windows-1252", "latin-1": "Latin-1"}
    phrases = [] if table.has_names else ["without a line of names"]
    if table.separator != ",":
        phrases.append(f"separated by {SEPARATORS.get(table.separator, repr(table.separator))}")
    if table.encoding != "utf-8":
        phrases.append(f"encoded in {names.get(table.encoding, table.encoding.upper())}")
    return phrases
