"""How a label is read from a folder's name, a table's cell or a Python value: one text for one meaning."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.errors import DataError
from regraft.storage.tables import printable

_LONGEST_TEXT = 100_000  # with all blanks and labels that it may have
MAX_LENGTH = 256
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"  # characters without width, which copied text often carries
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"([+-]?\d+)([.,]0*)?")
_MISSING_TYPES = frozenset({"NoneType", "NAType", "NaTType"})  # the last two are pandas'


def label_of(value: Any, *, is_list: bool = False) -> str | None:
    r"""The label that a value gives; None means that there is none (None, NaN, nothing but blanks).

    Text is composed (NFC), runs of blanks of any kind become one blank, and those at its ends are removed.
    Whole numbers have no decimals, whatever their type.

    Args:
        value: the value.
        is_list: whether it may be several labels, `a|b`, each of which may be as long as a single one.

    Raises:
        DataError: the value is of a type that can't be a label, such as a list, or too long.

    >>> [label_of(value) for value in (" pa\u0302t\u00e9\u00a0", 1.0, -1, "007", float("nan"), "  ")]
    ['pâté', '1', '-1', '007', None, None]
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if is_missing(value):
        return None
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            raise DataError(f"a label of {len(value):,} characters is too long")
        label = unicodedata.normalize("NFC", " ".join(value.split()).strip(_INVISIBLE + " "))
    elif isinstance(value, int | np.integer | np.bool_):
        label = str(value)
    elif isinstance(value, float | np.floating | Decimal):
        label = _decimal(value)
    elif isinstance(value, datetime.date):
        label = str(value)
    else:
        kind = type(value).__name__
        raise DataError(
            f"a label of type {kind} ({_short(value)}) can't be used; accepted are text, numbers, and true "
            "or false: one label for each image"
        )
    label = printable(label)
    longest = max(map(len, label.split("|"))) if is_list else len(label)
    if longest > MAX_LENGTH:
        raise DataError(f"a label of {longest:,} characters is too long; at most {MAX_LENGTH} are accepted")
    return label or None


def is_missing(value: Any) -> bool:
    """Whether a value stands for no value: None, NaN, and what pandas uses for them."""
    is_nan = isinstance(value, float | np.floating) and value != value
    return bool(is_nan) or type(value).__name__ in _MISSING_TYPES


def text_labels(cells: Sequence[str | None], *, is_list: bool = False) -> list[str | None]:
    """The labels in a column of text, which says nothing about types; None is a cell without a value.

    Every text is a name, also NA or 007. Two traces of a column of numbers that was saved with gaps are
    undone: `nan` among numbers is a missing label, and 1.0 among whole numbers with gaps is 1.

    >>> text_labels(["1.0", "0.0", "", "nan"]), text_labels(["1.0", "2.0"]), text_labels(["nan", "mum"])
    (['1', '0', None, None], ['1.0', '2.0'], ['nan', 'mum'])
    """
    labels = [label_of(cell, is_list=is_list) for cell in cells]
    known = {label for label in labels if label is not None and label.casefold() != "nan"}
    if not known or not all(is_number(label) for label in known):
        return labels
    labels = [label if label in known else None for label in labels]
    whole = {label: match[1] for label in known if (match := _WHOLE.fullmatch(label))}
    if None in labels and len(whole) == len(known):
        return [None if label is None else whole[label] for label in labels]
    return labels


def is_number(label: str) -> bool:
    """Whether a label is a plain decimal number, with a point or a comma."""
    return _NUMBER.fullmatch(label) is not None


def is_fraction(label: str) -> bool:
    """Whether a label is a number with decimals other than zero."""
    return is_number(label) and _WHOLE.fullmatch(label) is None


def spelling_key(label: str) -> str:
    """What labels have in common that differ by capitals, width, blanks, hyphens or a number's zeros.

    >>> {spelling_key(label) for label in ("Hot Dog", "hot_dog", "HOT-DOG")}, spelling_key("1.0")
    ({'hot dog'}, '1')
    """
    if is_number(label):
        number = Decimal(label.replace(",", ".")).normalize()
        return f"{number:f}" if abs(number.adjusted()) < MAX_LENGTH else str(number)
    plain = unicodedata.normalize("NFKC", label).casefold()
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFC", plain))


def class_numbers(labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """The number of each label, `(N,)`; labels are numbered in the order in which they first appear.

    >>> class_numbers(["dog", "cat", "dog"]).tolist()
    [0, 1, 0]
    """
    place = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return np.fromiter(map(place.__getitem__, labels), dtype=np.int64, count=len(labels))


def _decimal(value: Any) -> str:
    if value != value:
        return ""
    if value in (np.inf, -np.inf):
        raise DataError(f"a label can't be {value}; accepted are text, numbers, and true or false")
    if value == int(value) and abs(value) < 2**63:
        return str(int(value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value) if abs(value) < 1e-9 else np.format_float_positional(value, trim="-")


def _short(value: Any) -> str:
    text = printable(repr(value))
    return text if len(text) <= 60 else f"{text[:59]}…"
