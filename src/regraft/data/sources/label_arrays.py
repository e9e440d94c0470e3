"""Labels as Python holds them, in their own type: a sequence of numbers, texts or booleans."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.arguments import described
from regraft.data.sources.labels import is_missing
from regraft.errors import DataError
from regraft.tasks.multilabel import from_columns

_ACCEPTED = (
    "one label for each image: whole numbers, texts or booleans in a list, an array or a pandas Series"
)


def read_labels(labels: Any) -> npt.NDArray[Any]:
    """The labels as an array `(N,)` in their own type; equal spellings alone are one label.

    Raises:
        DataError: there is not one label for each image; the message says what is wrong and what to do.

    >>> read_labels(["b", "a"]).tolist()
    ['b', 'a']
    """
    if labels is None or isinstance(labels, str | bytes | dict | set | frozenset | type):
        raise DataError(f"y is {described(labels)}; accepted is {_ACCEPTED}")
    if hasattr(labels, "columns"):
        raise DataError(f"y is a table of shape {labels.shape}; give one of its columns: table['label']")
    try:
        values = np.asarray(labels if hasattr(labels, "__array__") else list(labels))
    except Exception as error:  # rows of different lengths, things that can't be listed, and others
        raise DataError(f"y is {described(labels)}; accepted is {_ACCEPTED} ({error})") from error
    if values.ndim != 1:
        raise DataError(
            f"labels of shape {values.shape} were given; accepted is {_ACCEPTED}{_way_out(values)}"
        )
    _check_kinds(values)
    return values


def is_label_matrix(labels: Any) -> bool:
    """Whether labels are a matrix `(N, K)` of 1, 0 and NaN, which is not one-hot rows of classes.

    >>> is_label_matrix([[1, 1], [0, 1]]), is_label_matrix([[1, 0], [0, 1]]), is_label_matrix([1, 0])
    (True, False, False)
    """
    try:
        values = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    is_known = ~np.isnan(values)
    if (
        values.ndim != 2
        or values.shape[1] < 2
        or not len(values)
        or not np.isin(values[is_known], (0, 1)).all()
    ):
        return False
    return not (is_known.all() and (values.sum(axis=1) == 1).all())


def label_lists(matrix: npt.NDArray[np.float64]) -> list[str]:
    """The rows of a matrix of 1, 0 and NaN as canonical labels; a column's label is its number.

    Raises:
        DataError: nothing is known of an image.

    >>> label_lists(np.array([[1.0, np.nan], [0.0, 0.0]]))
    ['000000|?000001', '']
    """
    names = [f"{column:06d}" for column in range(matrix.shape[1])]
    unknown = np.flatnonzero(np.isnan(matrix).all(axis=1))
    if len(unknown):
        raise DataError(
            f"none of the labels of {len(unknown):,} images is known (NaN), the first at position "
            f"{unknown[0]}; leave these images out"
        )
    cells = [["" if value != value else str(int(value)) for value in row] for row in matrix.tolist()]
    return [from_columns(names, row) for row in cells]


def read_numbers(numbers: Any) -> npt.NDArray[np.float64]:
    """Numbers `(N,)`, one for each image.

    Raises:
        DataError: they are something else, or one of them is not finite.
    """
    accepted = "a finite number for each image, in a list, an array or a pandas Series"
    try:
        values = np.asarray(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"y is {described(numbers)}; accepted is {accepted} ({error})") from error
    if values.ndim != 1:
        raise DataError(f"numbers of shape {values.shape} were given; accepted is {accepted}")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(
            f"{len(wrong):,} of {len(values):,} numbers are not finite, the first at position {wrong[0]}; "
            "leave these images out"
        )
    return values


def _way_out(values: npt.NDArray[Any]) -> str:
    if values.ndim != 2 or 0 in values.shape:
        return ""
    if values.shape[1] == 1:
        return ". For a column, give y.ravel()"
    if values.dtype.kind in "biuf" and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all():
        return ". For one-hot rows, give y.argmax(axis=1)"
    return ". An image has a single label here; for rows of scores or one-hot rows, give y.argmax(axis=1)"


def _check_kinds(values: npt.NDArray[Any]) -> None:
    missing = [place for place, value in enumerate(values.tolist()) if is_missing(value)]
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(values):,} labels are missing (None or NaN), the first at position "
            f"{missing[0]}; leave these images out, or label them"
        )
    kinds = Counter(_kind(value) for value in values.tolist())
    if len(kinds) > 1 or "other" in kinds:
        found = Counter(type(value).__name__ for value in values.tolist()).most_common(3)
        named = ", ".join(f"{count:,} {name}" for name, count in found)
        raise DataError(f"the labels are of several kinds or of none that is accepted ({named}); {_ACCEPTED}")
    if "number" in kinds:
        numbers = [value for value in values.tolist() if isinstance(value, float)]
        decimals = [value for value in numbers if value != _whole(value)]
        if decimals:
            raise DataError(
                f"{len(decimals):,} of {len(values):,} labels are numbers with decimals, such as "
                f"{decimals[0]:g}; a classifier needs classes. If each number is the name of a class, give "
                "texts: y.astype(str)"
            )


def _whole(value: float) -> float:
    """The nearest whole number; infinity has none, and is NaN here."""
    return float(round(value)) if abs(value) < float("inf") else float("nan")


def _kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | float | np.integer | np.floating):
        return "number"
    return "text" if isinstance(value, str) else "other"
