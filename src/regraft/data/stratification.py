"""Dividing images that may have several labels each, so that every part has its share of every label.

Iterative stratification: the label with the fewest images left is distributed first, because a mistake
with it can't be evened out later. Whole groups of images stay together.
Source: Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data", figure 1; here a
group of images takes the place of an image, and a hash of the seed and the group that of a random draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def balanced_parts(
    strata: npt.NDArray[Any], groups: Sequence[str], shares: Sequence[float], *, seed: int
) -> Ints:
    """Divide images into parts of given sizes; each part gets about its share of every label.

    Args:
        strata: `(N, S)`, True or 1 where an image belongs to a stratum, for example has a label. Each image
            should belong to at least one.
        groups: the group of each image; a group is never divided.
        shares: size of each part as a share of the images, in (0, 1); they sum to one.
        seed: random seed; the order of the images makes no difference.

    Returns:
        The number of the part of each image, `(N,) int64`.

    >>> strata = np.array([[1, 0], [1, 0], [1, 1], [1, 1]])
    >>> parts = balanced_parts(strata, list("abcd"), [0.5, 0.5], seed=0)
    >>> [strata[parts == part].sum(axis=0).tolist() for part in (0, 1)]
    [[2, 1], [2, 1]]
    """
    names, own = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((len(names), strata.shape[1]))
    np.add.at(counts, own, strata.astype(np.float64))
    sizes = np.bincount(own, minlength=len(names)).astype(np.float64)
    order = np.array(
        sorted(range(len(names)), key=lambda place: (-sizes[place], rank_of(seed, str(names[place]))))
    )
    result = np.empty(len(names), dtype=np.int64)
    result[order] = _distributed(counts[order], sizes[order], np.asarray(shares, dtype=np.float64))
    return result[own]


def _distributed(counts: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], shares: Any) -> Ints:
    """The part of each group, from its images by stratum `(G, S)` and its size; large groups come first."""
    wanted = shares[:, None] * counts.sum(axis=0)  # (parts, S): what each part still lacks
    room = shares * sizes.sum()
    left = counts.sum(axis=0)
    parts = np.full(len(counts), -1, dtype=np.int64)
    while (is_left := left > 1e-9).any():
        rarest = int(np.argmin(np.where(is_left, left, np.inf)))
        for place in np.flatnonzero((parts < 0) & (counts[:, rarest] > 0)):
            part = int(np.lexsort((-room, -wanted[:, rarest]))[0])
            parts[place] = part
            wanted[part] -= counts[place]
            room[part] -= sizes[place]
            left -= counts[place]
    for place in np.flatnonzero(parts < 0):  # groups of no stratum
        parts[place] = part = int(np.argmax(room))
        room[part] -= sizes[place]
    return parts


def rank_of(seed: int, group: str) -> bytes:
    """What decides when a group's turn comes: its name and the seed, whatever other groups there are."""
    return hashlib.sha256(f"{seed}/{group}".encode()).digest()


def scattered(strata: npt.NDArray[Any], folds: Ints) -> npt.NDArray[np.bool_]:
    """Which strata have images in at least two folds, `(S,) bool`: without any fold, some are left to learn.

    Args:
        strata: `(N, S)`, whether each image belongs to each stratum.
        folds: fold of each image, `(N,)`.

    >>> scattered(np.array([[1, 1], [1, 0], [1, 0]]), np.array([0, 1, 1])).tolist()
    [True, False]
    """
    held = np.stack([strata[folds == fold].any(axis=0) for fold in np.unique(folds)])
    result: npt.NDArray[np.bool_] = held.sum(axis=0) > 1
    return result
