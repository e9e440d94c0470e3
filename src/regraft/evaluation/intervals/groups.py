"""Which images belong together, as numbers, and what few groups allow to be said."""

from __future__ import annotations

from collections.abc import Sequence
from math import erf

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Z = 1.959963984540054
"""The normal distribution's 97.5 % point."""


def group_numbers(names: Sequence[str] | None) -> Ints | None:
    """The number of each image's group, from 0; None if every image is a group of its own.

    Args:
        names: the group of each image; None means that every image is a group.

    >>> group_numbers(["ann", "bob", "ann"])
    array([0, 1, 0])
    >>> print(group_numbers(["ann", "bob"]))
    None
    """
    if names is None or len(set(names)) == len(names):
        return None
    _, numbers = np.unique(np.asarray(names), return_inverse=True)
    return numbers.astype(np.int64)


def number_of_groups(groups: Ints | None) -> int | None:
    """How many groups there are; None if every image is a group of its own."""
    return None if groups is None else int(groups.max()) + 1


def by_group(method: str, groups: Ints | None) -> str:
    """A method in words, with the number of groups if images belong together.

    >>> by_group("test images", np.array([0, 1, 0]))
    'test images, by group (2 groups)'
    """
    count = number_of_groups(groups)
    if count is None:
        return method
    said = f"by group ({count:,} {'group' if count == 1 else 'groups'})"
    return f"{method}, {said}" if method else said


def tail_share(groups: int | None) -> float:
    """The share of bootstrap draws that is left out at each end of a 95 % interval.

    A bootstrap of n groups is too narrow by the root of (n - 1) / n and by the ratio of the normal
    distribution to Student's; the expanded percentile interval takes points further out. Source: Hesterberg
    2015, "What teachers should know about the bootstrap", section 4.3.

    Args:
        groups: number of groups, at least 2; None for images that are independent, where it is 2.5 %.

    >>> tail_share(None), round(tail_share(8), 4), round(tail_share(1_000), 4)
    (0.025, 0.0057, 0.0248)
    """
    if groups is None:
        return 0.025
    return 0.5 - 0.5 * erf((groups / (groups - 1) / 2) ** 0.5 * student(groups - 1))


def student(freedom: int) -> float:
    """The 97.5 % point of Student's t, by the Cornish-Fisher series (Abramowitz & Stegun 26.7.5)."""
    z, n = Z, freedom
    if n == 1:
        return 12.706
    if n == 2:
        return 4.303
    terms = [
        z,
        (z**3 + z) / (4 * n),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3),
    ]
    return float(sum(terms))
