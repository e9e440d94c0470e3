"""Text and tables that are safe to show: in a terminal, in a log, in a spreadsheet."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_FORMULA_STARTS = ("=", "+", "-", "@")
_SUSPICIOUS = (*_FORMULA_STARTS, "'")
_BLOCK_ROWS = 4096
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")


def printable(text: str) -> str:
    r"""Escape undecodable bytes and control characters, so that a terminal, log or record can show `text`.

    >>> printable("caf\udce9\x1b[31m.jpg")
    'caf\\xe9\\x1b[31m.jpg'
    """
    if text.isprintable():  # which undecodable bytes are not
        return text
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file (RFC 4180, UTF-8) as bytes. Text that a spreadsheet would run as a formula gets a `'`."""
    return b"".join(csv_blocks(header, rows))


def csv_blocks(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """The bytes of a CSV file in blocks of 4,096 rows, so that a long one is never in memory as a whole."""
    remaining = itertools.chain([header], rows)
    while block := list(itertools.islice(remaining, _BLOCK_ROWS)):
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        for row in block:
            writer.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in row])
        yield buffer.getvalue().encode()


def csv_rows(file: Iterable[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file as `csv.DictReader` gives them, but none that is cut off or too long.

    Raises:
        csv.Error: a row has more or fewer cells than the header.

    >>> list(csv_rows(["path,label", "1.jpg,cat"]))
    [{'path': '1.jpg', 'label': 'cat'}]
    """
    reader = csv.reader(file)
    header = next(reader, [])
    for row in filter(None, reader):  # without blank lines
        if len(row) != len(header):
            raise csv.Error(f"line {reader.line_num} has {len(row)} cells, and the header {len(header)}")
        yield dict(zip(header, row, strict=True))


def harmless(cell: str) -> str:
    """Escape text so that no spreadsheet takes it for a formula, and no terminal for a command.

    Plain numbers are no formulas, and stay as they are.

    >>> [harmless(cell) for cell in ("=1+1", "-1", "-1+1", "'=1")]
    ["'=1+1", '-1', "'-1+1", "''=1"]
    """
    if cell[:1] not in _SUSPICIOUS and cell.isprintable():  # most cells
        return cell
    shown = printable(cell)
    if not shown.lstrip("'").startswith(_FORMULA_STARTS) or _NUMBER.fullmatch(shown):
        return shown
    return f"'{shown}"


def unguarded(cell: str) -> str:
    """A cell without the `'` that `harmless` put before it.

    >>> [unguarded(cell) for cell in ("'=1+1", "-1", "'-1", "''=1", "'tis")]
    ['=1+1', '-1', '-1', "'=1", "'tis"]
    """
    is_guarded = cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA_STARTS)
    return cell[1:] if is_guarded else cell
