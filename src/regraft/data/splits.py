"""Which images train and which test: stratified by class, whole groups on one side, stable between runs.

A group's side depends on a hash of the seed and the group, not on the order of files, so adding or
removing images does not move the others; a saved split is reused for the images that it contains, as long as
every class keeps its share.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.drawn_sides import reused_sides
from regraft.data.findings.image_set import Images
from regraft.data.saved_splits import save_split, saved_sides
from regraft.data.sources.labels import class_numbers
from regraft.data.stratification import balanced_parts, rank_of, scattered
from regraft.errors import SettingsError
from regraft.machine.collection import collection_paused
from regraft.records import Finding, ImageItem, Side, Split, SplitRow
from regraft.storage.files import key_of, listed_key
from regraft.storage.places import cache_folder
from regraft.storage.tables import printable
from regraft.tasks.task import Task

USUAL_FOLDS = 5


@collection_paused()
def split_images(
    images: Images,
    *,
    seed: int = 0,
    test_share: float = 0.2,
    folder: Path | None = None,
    save: bool = True,
) -> Split:
    """The split of a data set: its official one, else the saved one, else a new one, which is saved.

    Saved splits are found by the data's folder, for a table also by its file and its column of labels, and
    by the seed and the share. What was reused is in `Split.history`.

    Args:
        images: the scanned data set.
        seed: random seed of a new split.
        test_share: share of each class that is set aside as test images, in [0, 0.9].
        folder: the folder of saved splits; None means the cache.
        save: whether a new split is saved.

    Raises:
        SettingsError: `test_share` is out of range.
    """
    if not 0 <= test_share <= 0.9:
        raise SettingsError(f"test share {test_share:g} is outside of 0 to 0.9; a usual value is 0.2")
    if any(item.side for item in images.items):
        sides: list[Side] = [item.side or "train" for item in images.items]
        return _record(images, sides, seed=seed, test_share=test_share, origin="official")
    if test_share == 0:
        sides = ["train"] * len(images.items)
        return _record(images, sides, seed=seed, test_share=test_share, origin="drawn")
    place = (folder or cache_folder() / "splits") / _key(images, seed, test_share)[:24]
    known = saved_sides(place)
    sides, history = _drawn(images, known, seed=seed, test_share=test_share)
    split = _record(images, sides, seed=seed, test_share=test_share, origin="drawn", history=history)
    if save:
        save_split(place, split, is_readable=bool(known))
    return split


def _key(images: Images, seed: int, test_share: float) -> str:
    """What names a saved split: the place of the data, for a table also its file and column of labels."""
    facts = [str(Path(images.root).resolve()), seed, test_share]
    return key_of([*facts, images.source] if images.source else facts)


def _record(
    images: Images, sides: Sequence[Side], *, seed: int, test_share: float, origin: str, history: str = ""
) -> Split:
    rows = tuple(
        SplitRow(
            path=printable(item.path),
            label=item.label,
            sha256=item.sha256,
            side=side,
            group=item.group or item.sha256,
        )
        for item, side in zip(images.items, sides, strict=True)
    )
    digest = listed_key([row.path, row.label, row.sha256, row.side] for row in rows)
    facts = {"seed": seed, "test_share": test_share, "origin": origin, "history": history}
    return Split.model_validate({**facts, "rows": rows, "sha256": digest})


def _drawn(images: Images, known: dict[str, Side], *, seed: int, test_share: float) -> tuple[list[Side], str]:
    """The sides of a drawn split, and a sentence about what was reused; the task says what is balanced."""
    if images.task is None or images.task.link == "softmax":  # the classes, by their names
        return reused_sides(images.items, known, seed=seed, test_share=test_share)
    strata = images.task.strata(images.task.targets([item.label for item in images.items]))
    if strata.ndim == 2:
        return _balanced(images.items, strata, known, seed=seed, test_share=test_share)
    items = [
        replace(item, label=f"stratum {number}")
        for item, number in zip(images.items, strata.tolist(), strict=True)
    ]
    return reused_sides(items, known, seed=seed, test_share=test_share)


def _balanced(
    items: Sequence[ImageItem],
    strata: npt.NDArray[np.bool_],
    known: dict[str, Side],
    *,
    seed: int,
    test_share: float,
) -> tuple[list[Side], str]:
    """Sides that balance every label; earlier ones are kept, unless a label has lost its share."""
    groups = np.array([item.group or item.sha256 for item in items])
    shares = [1 - test_share, test_share]
    fresh = balanced_parts(strata, groups.tolist(), shares, seed=seed) == 1
    old = [known.get(item.sha256) for item in items]
    reused = sum(side is not None for side in old)
    is_test = fresh
    if reused:
        tested = {group for group, side in zip(groups.tolist(), old, strict=True) if side == "test"}
        placed = {group for group, side in zip(groups.tolist(), old, strict=True) if side is not None}
        is_open = np.array([group not in placed for group in groups.tolist()])
        is_test = np.array([group in tested for group in groups.tolist()])
        if is_open.any():
            is_test[is_open] = (
                balanced_parts(strata[is_open], groups[is_open].tolist(), shares, seed=seed) == 1
            )
    needed = test_share * strata.sum(axis=0)
    distance = np.abs(strata[is_test].sum(axis=0) - needed)
    anew = np.abs(strata[fresh].sum(axis=0) - needed)
    if ((distance > needed / 2 + 1) & (distance > anew)).any():
        return _sides_of(fresh), "split drawn again, because labels had lost their share of the test images"
    history = f"split of an earlier run reused for {reused:,} of {len(items):,} images" if reused else ""
    return _sides_of(is_test), history


def _sides_of(is_test: npt.NDArray[np.bool_]) -> list[Side]:
    return ["test" if one else "train" for one in is_test.tolist()]


def split_findings(split: Split, task: Task | None = None) -> list[Finding]:
    """Problems of a split: images that leak between official sides, and classes that are too small."""
    findings = _leaks(split)
    if task is not None and task.link != "softmax":
        return findings + _rare_labels(split, task)
    counts = Counter((row.label, row.side) for row in split.rows)
    has_tests = any(side == "test" for _, side in counts)
    for label in sorted({label for label, _ in counts}):
        train = counts[label, "train"]
        if train < 5:
            plural = "" if train == 1 else "s"
            text = f"class {label} has {train} training image{plural}: expect poor results for it"
            findings.append(Finding("tiny-class", text))
        if has_tests and not counts[label, "test"]:
            findings.append(Finding("tiny-class", f"class {label} has too few images to be tested"))
    return findings


def _leaks(split: Split) -> list[Finding]:
    """Groups with images on several sides of an official split."""
    first: dict[str, Side] = {}
    divided = {row.group for row in split.rows if first.setdefault(row.group, row.side) != row.side}
    if not divided:
        return []
    named: dict[str, list[str]] = {}
    for row in split.rows:
        if row.group in divided:
            named.setdefault(row.group, []).append(f"{row.side}: {row.path}")
    text = "the same image on different sides of the split"
    return [Finding("leak", text, tuple(paths)) for paths in named.values()]


def _rare_labels(split: Split, task: Task) -> list[Finding]:
    """Labels of which too few training images are known to have them, or none of the test images."""
    strata = task.strata(task.targets([row.label for row in split.rows]))
    if strata.ndim == 1:
        return []
    sides = np.array([row.side for row in split.rows])
    trained, tested = (strata[sides == side].sum(axis=0) for side in ("train", "test"))
    findings = []
    for label, train, test in zip(task.outputs, trained.tolist(), tested.tolist(), strict=False):
        if train < 5:
            plural = "" if train == 1 else "s"
            text = f"label {label} is present in {train} training image{plural}: expect poor results for it"
            findings.append(Finding("tiny-class", text))
        if (sides == "test").any() and not test:
            findings.append(Finding("tiny-class", f"label {label} has too few images to be tested"))
    return findings


def stratified(labels: npt.NDArray[Any], most: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Choose at most `most` rows, in proportion to the classes; returns their numbers, in order.

    The choice depends on the labels and the seed alone.

    Args:
        labels: the stratum of each row, `(N,) int64`, or several `(N, S) bool`.
        most: how many rows are chosen at most.
        seed: random seed.

    >>> labels = np.array([0, 0, 0, 0, 1, 1])
    >>> labels[stratified(labels, 3, seed=0)].tolist()
    [0, 0, 1]
    """
    if labels.ndim == 2:
        share = min(1.0, most / len(labels))
        names = [str(number) for number in range(len(labels))]
        parts = balanced_parts(labels, names, [share, 1 - share], seed=seed)
        return np.flatnonzero(parts == 0)[:most]
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(order), dtype=np.int64)  # rank of each row within its class, scaled by its frequency
    for label in np.unique(labels):
        own = order[labels[order] == label]
        rank[own] = np.arange(len(own)) * len(order) // len(own)
    return np.sort(np.argsort(rank, kind="stable")[:most])


@collection_paused()
def fold_numbers(
    labels: Sequence[int] | npt.NDArray[Any], groups: Sequence[str], *, folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """The cross-validation fold of each image: stratified by class, with whole groups in one fold.

    Groups are assigned, large ones first, to the fold that has the fewest images of the group's most
    frequent class so far.

    Args:
        labels: the stratum of each image, `(N,) int64`, or several `(N, S) bool`; see `Task.strata`.
        groups: the group of each image.
        folds: number of folds.
        seed: random seed.

    Returns:
        `(N,) int64` in 0 .. folds-1.

    >>> fold_numbers([0, 0, 1, 1], ["a", "b", "c", "d"], folds=2, seed=0).tolist()
    [0, 1, 0, 1]
    """
    if np.ndim(labels) == 2:
        return balanced_parts(np.asarray(labels), groups, [1 / folds] * folds, seed=seed)
    known = np.asarray(labels, dtype=np.int64)
    counts = np.zeros((int(known.max()) + 1, folds), dtype=np.int64)  # of each class in each fold
    result = np.zeros(len(known), dtype=np.int64)
    number = class_numbers(groups)
    is_single = np.bincount(number)[number] == 1
    members: dict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(~is_single).tolist():
        members[groups[row]].append(row)
    # Large groups first: the small ones that follow can still even out the folds.
    for group in sorted(members, key=lambda group: (-len(members[group]), rank_of(seed, group))):
        own = known[members[group]]
        main = np.bincount(own).argmax()
        fold = np.lexsort((counts.sum(axis=0), counts[main]))[0]
        np.add.at(counts[:, fold], own, 1)
        result[members[group]] = fold
    singles = sorted(np.flatnonzero(is_single).tolist(), key=lambda row: rank_of(seed, groups[row]))
    result[singles] = _evened_out(known[singles].tolist(), counts)
    return result


def _evened_out(labels: list[int], counts: npt.NDArray[np.int64]) -> list[int]:
    """The folds of images that are groups of their own: each goes where its class has the fewest so far.

    Of equal folds it is the smaller one, then the first.

    Args:
        labels: the class of each image, in the order in which they are placed.
        counts: how many images of each class are in each fold already.
    """
    much = len(labels) + int(counts.sum()) + 1
    own = (much * counts).tolist()
    sizes = counts.sum(axis=0).tolist()
    result = []
    for label in labels:
        of_class = own[label]
        ranks = list(map(add, of_class, sizes))
        fold = ranks.index(min(ranks))
        of_class[fold] += much
        sizes[fold] += 1
        result.append(fold)
    return result


def fold_doubt(labels: npt.NDArray[Any], folds: npt.NDArray[np.int64]) -> str | None:
    """Why cross-validation on these folds says nothing about settings, as a sentence; None if it does.

    Args:
        labels: class number of each image, `(N,)`, or several strata `(N, S) bool`.
        folds: fold of each image, `(N,)`, from `fold_numbers`.

    >>> fold_doubt(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    'the training images form only 2 groups (or single images), fewer than the 5 folds of cross-validation'
    """
    sizes = np.bincount(folds)
    if len(sizes) < USUAL_FOLDS:
        return (
            f"the training images form only {len(sizes)} groups (or single images), fewer than the "
            f"{USUAL_FOLDS} folds of cross-validation"
        )
    if 2 * sizes.max() > len(folds):
        return f"{sizes.max():,} of {len(folds):,} training images form one group, which is a fold by itself"
    if labels.ndim == 2:
        alone = int(labels[:, ~scattered(labels, folds)].sum())
        if 2 * alone > labels.sum():
            return f"{alone:,} of {labels.sum():,} labels of images are of labels that form one group each"
        return None
    spread = np.zeros((int(labels.max()) + 1, len(sizes)), dtype=bool)
    spread[labels, folds] = True
    alone = int((spread.sum(axis=1) == 1)[labels].sum())
    if 2 * alone > len(folds):
        return f"{alone:,} of {len(folds):,} training images are of classes that form one group each"
    return None
