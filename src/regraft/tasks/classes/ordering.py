"""Classes that have an order, such as grades: how far answers are from the truth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.errors import SettingsError, close_names

Ints = npt.NDArray[np.int64]
SORTED = "sorted"
"""The order of the classes' numbers, or else of their names, instead of a list of names."""
_NUMBER = re.compile(r"(?:(?<!\w)[-+])?\d*\.?\d+")  # a hyphen within a name is no minus


def ordered_classes(named: Sequence[str], classes: Sequence[str]) -> tuple[str, ...]:
    """The classes in the order that a user means, the lowest first.

    Args:
        named: all classes in order, or `sorted` alone: by the first number in each name if every name has one
            and all differ, otherwise by name.
        classes: the classes of the data set.

    Raises:
        SettingsError: a class is missing, named twice, or unknown.

    >>> ordered_classes(["sorted"], ["grade 10", "grade 9"])
    ('grade 9', 'grade 10')
    >>> ordered_classes(["low", "high"], ["high", "low"])
    ('low', 'high')
    """
    if list(named) == [SORTED]:
        numbers = [_NUMBER.search(one) for one in classes]
        known = {one: float(found[0]) for one, found in zip(classes, numbers, strict=True) if found}
        if len(set(known.values())) == len(classes):
            return tuple(sorted(classes, key=known.__getitem__))
        return tuple(sorted(classes))
    if sorted(named) == sorted(classes):
        return tuple(named)
    given = ",".join(named)
    missing = [one for one in classes if one not in named]
    unknown = [one for one in named if one not in classes]
    twice = sorted({one for one in named if list(named).count(one) > 1})
    what = [
        *([f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"] if missing else []),
        *(f"{one} is not a class{close_names(one, classes)}" for one in unknown),
        *(f"{one} is named twice" for one in twice),
    ]
    raise SettingsError(
        f"--ordered {given}: {'; '.join(what)}. Accepted are all classes with commas between them, the "
        f"lowest first ({', '.join(classes)}), and {SORTED}, which means by their numbers, or else by name"
    )


def quadratic_kappa(counts: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Quadratic weighted kappa: 1 for perfect answers, 0 for those of chance (Cohen 1968).

    It is 1 minus the mean squared distance of answers from the truth, divided by that of answers which are
    drawn independently of the truth, with the same frequencies.

    Args:
        counts: confusion matrices `(B, K, K)`, true classes in rows, both in their order.

    Returns:
        `(B,) float64`; NaN where truth and answers are the same single class.

    >>> quadratic_kappa(np.array([[[2, 0, 0], [0, 2, 0], [0, 2, 0]]])).round(4).tolist()
    [0.6667]
    """
    size = counts.shape[1]
    distances = np.square(np.arange(size)[:, None] - np.arange(size)[None]).astype(np.float64)
    total = counts.sum(axis=(1, 2))
    expected = counts.sum(axis=2)[:, :, None] * counts.sum(axis=1)[:, None, :]
    apart = (counts * distances).sum(axis=(1, 2))
    by_chance = (expected * distances).sum(axis=(1, 2)) / np.maximum(total, 1)
    shares = np.divide(apart, by_chance, out=np.full(len(counts), np.nan), where=by_chance > 0)
    kappa: npt.NDArray[np.float64] = 1 - shares
    return kappa
