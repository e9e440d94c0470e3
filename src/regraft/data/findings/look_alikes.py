"""Which images count as look-alikes: pairs of equal thumbnails, where thumbnails say anything at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from regraft.data.findings.duplicates import Ints, connected, near_duplicates
from regraft.data.findings.second_look import differ_in_one_place
from regraft.data.sources.labels import class_numbers
from regraft.progress import Reporter
from regraft.records import Finding
from regraft.storage.columns import remember, remembered
from regraft.storage.files import mark_used, remove_old
from regraft.storage.places import cache_folder

LookAlikes = Literal["auto", "group", "ignore"]
Look = Callable[[Sequence[int]], npt.NDArray[np.uint8]]
"""Grey pictures `(n, 4096) uint8` of 64 x 64 pixels of the images with the given numbers."""

_VERSION = 2  # of the cached pairs; another one where the same thumbnails give other pairs
_FEW = 10_000
_MOST_KEPT = 20_000_000  # pairs: 160 MB
_KEPT_S = 30 * 86_400.0
_PARTNERS = 50  # pairs that are kept for each image, with its own and with other labels; counts are exact
_AS_COMMON = (
    0.5  # look-alikes across labels, relative to those within them, from which thumbnails say nothing
)
_MANY = 0.1  # share of all images that look like one of another label, below which it is a matter of labels
_LEAST_CHAIN = 4  # images of a class; smaller groups are never broken up


@dataclass(frozen=True)
class Thumbnails:
    """Pairs of images whose thumbnails look alike, and how common they are."""

    within: Ints
    """Pairs of images with the same label, `(M, 2)`."""
    across: Ints
    """Pairs of images with different labels, `(M, 2)`."""
    counts: tuple[int, int]
    """Number of pairs with the same label and with different labels, including those that were left out."""


def compared(
    thumbnails: npt.NDArray[np.uint8], labels: Sequence[str], reporter: Reporter | None = None
) -> Thumbnails:
    """Compare all thumbnails; for each image at most fifty pairs of a sort are kept.

    Of more than 10,000 images the result is cached, since a million take minutes. It is found by the content
    of thumbnails and labels.

    Args:
        thumbnails: grey thumbnails of 16 x 16 pixels, `(N, 256) uint8`.
        labels: the labels of the images.
        reporter: receives the progress where it takes long.
    """
    classes = class_numbers(labels)
    if len(labels) <= _FEW:
        return _compared(thumbnails, classes, reporter)
    digest = hashlib.sha256(f"{_VERSION} {_PARTNERS}".encode())
    for values in (classes, np.ascontiguousarray(thumbnails)):
        digest.update(values.reshape(-1).view(np.uint8).data)
    path = cache_folder() / "scan" / "pairs" / f"{digest.hexdigest()[:24]}.npz"
    known = _read_pairs(path)
    if known is None:
        known = _compared(thumbnails, classes, reporter)
        _write_pairs(path, known)
    else:
        mark_used(path)
    return known


def _read_pairs(path: Path) -> Thumbnails | None:
    """The pairs in a file; None if it is missing or damaged."""
    found = remembered(path, ("within", "across", "counts"))
    if found is None:
        return None
    try:
        first, second = found[2].tolist()
        within, across = (some.astype(np.int64).reshape(-1, 2) for some in found[:2])
    except ValueError:  # of another shape
        return None
    return Thumbnails(within, across, (first, second))


def _write_pairs(path: Path, found: Thumbnails) -> None:
    remove_old(path.parent.glob("*.npz"), _KEPT_S)
    if len(found.within) + len(found.across) > _MOST_KEPT:
        return
    within, across = found.within.astype(np.int32), found.across.astype(np.int32)
    remember(path, {"within": within, "across": across, "counts": np.array(found.counts)})


def _compared(thumbnails: npt.NDArray[np.uint8], classes: Ints, reporter: Reporter | None) -> Thumbnails:
    kept: tuple[list[Ints], list[Ints]] = ([], [])
    taken = np.zeros((2, len(classes)), dtype=np.int64)
    counts = [0, 0]
    for pairs in near_duplicates(thumbnails, reporter=reporter):
        is_across = classes[pairs[:, 0]] != classes[pairs[:, 1]]
        for sort, some in enumerate((pairs[~is_across], pairs[is_across])):
            counts[sort] += len(some)
            first = some[:, 0]  # in rising order, so the rank among equal ones is the distance to the first
            rank = np.arange(len(first)) - np.searchsorted(first, first)
            usable = taken[sort][first] + rank < _PARTNERS
            kept[sort].append(some[usable])
            np.add.at(taken[sort], first[usable], 1)
    nothing = np.zeros((0, 2), dtype=np.int64)
    within, across = (np.concatenate([nothing, *some]) for some in kept)
    return Thumbnails(within, across, (counts[0], counts[1]))


def look_alikes(
    thumbnails: npt.NDArray[np.uint8],
    labels: Sequence[str],
    paths: Sequence[str],
    *,
    look: Look,
    reporter: Reporter | None = None,
) -> tuple[Ints, list[Finding]]:
    """The pairs of images that belong together because they look alike, `(M, 2)`, and what was found.

    - Where look-alikes are as common across labels as within them, as under a fixed camera, thumbnails say
      nothing about which images are copies, and none are paired.
    - Images with different labels get a second look at a larger size, where another object shows.
    - A group that holds more than half of a class gets a second look, too; if it remains, it is broken up,
      since no part of the class could be tested otherwise.

    Args:
        thumbnails: grey thumbnails of 16 x 16 pixels, `(N, 256) uint8`.
        labels: the labels of the images.
        paths: the paths of the images.
        look: returns larger pictures of some images.
        reporter: receives the progress where it takes long.
    """
    found, classes = compared(thumbnails, labels, reporter), class_numbers(labels)
    if (doubt := _says_nothing(found, classes, paths)) is not None:
        return found.within[:0], [doubt]
    pairs = np.concatenate([found.within, found.across[~_differ(found.across, look)]])
    roots = connected(len(labels), pairs)
    is_suspect = np.isin(roots[pairs[:, 0]], list(_large_groups(roots, classes)))
    is_suspect[is_suspect] = _differ(pairs[is_suspect], look)
    pairs = pairs[~is_suspect]
    roots = connected(len(labels), pairs)
    broken = _large_groups(roots, classes)
    pairs = pairs[~np.isin(roots[pairs[:, 0]], list(broken))]
    findings = [
        _broken((roots == root) & (classes == label), int((classes == label).sum()), labels, paths)
        for root, label in broken.items()
    ]
    return pairs, findings + pair_findings(pairs, labels, paths)


def pair_findings(pairs: Ints, labels: Sequence[str], paths: Sequence[str]) -> list[Finding]:
    """A finding for each pair: a near-duplicate, or a conflict where the labels differ."""
    text = "images that look the same"
    return [
        Finding("near-duplicate" if labels[a] == labels[b] else "conflict", text, (paths[a], paths[b]))
        for a, b in pairs.tolist()
    ]


def _says_nothing(found: Thumbnails, classes: Ints, paths: Sequence[str]) -> Finding | None:
    """The finding that look-alikes are as common across labels as within them; None if they are not."""
    count, sizes = len(classes), np.bincount(classes)
    involved = np.unique(found.across)
    within = float((sizes * (sizes - 1) // 2).sum())
    across = count * (count - 1) / 2 - within
    shares = found.counts[0] / max(within, 1.0), found.counts[1] / max(across, 1.0)
    if len(involved) < max(_LEAST_CHAIN, _MANY * count) or shares[1] < _AS_COMMON * shares[0]:
        return None
    text = (
        f"{len(involved):,} of {count:,} images look like images of other classes, as often as like those of "
        "their own class (a fixed camera?): look-alikes are not kept on one side of the split, so scores are "
        "too high if there are copies. Name groups of images in a table, or use --look-alikes group"
    )
    first, second = found.across[0].tolist()
    return Finding("look-alikes", text, (paths[first], paths[second]))


def _differ(pairs: Ints, look: Look) -> npt.NDArray[np.bool_]:
    """Which pairs differ in one place, by a second look."""
    if not len(pairs):
        return np.zeros(0, dtype=bool)
    wanted, places = np.unique(pairs, return_inverse=True)
    pictures = look(wanted.tolist())
    first, second = places.reshape(-1, 2).T
    return differ_in_one_place(pictures[first], pictures[second])


def _large_groups(roots: Ints, classes: Ints) -> dict[int, int]:
    """The groups that hold more than half of a class, by their roots, with the number of that class."""
    sizes = np.bincount(classes)
    members, counts = np.unique(roots * len(sizes) + classes, return_counts=True)
    group, label = np.divmod(members, len(sizes))
    is_large = (counts >= _LEAST_CHAIN) & (2 * counts > sizes[label])
    return dict(zip(group[is_large].tolist(), label[is_large].tolist(), strict=True))


def _broken(
    is_member: npt.NDArray[np.bool_], size: int, labels: Sequence[str], paths: Sequence[str]
) -> Finding:
    members = np.flatnonzero(is_member)
    text = (
        f"{len(members):,} of the {size:,} images of class {labels[members[0]]} look alike (a fixed camera, "
        "or frames of a video?): they are not kept on one side of the split, so scores are too high if they "
        "are copies. Name groups of images in a table, or use --look-alikes group"
    )
    return Finding("look-alikes", text, tuple(paths[number] for number in members[:2]))
