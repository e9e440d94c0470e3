"""Which detections find which true boxes, by COCO's rules, for ten overlaps and four ranges of size at once.

Source: Lin et al. 2014, "Microsoft COCO: common objects in context", and its evaluation code, pycocotools
(`COCOeval.evaluateImg`), with whose results this agrees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from regraft.errors import DataError
from regraft.evaluation.boxes import Bools, Detections, Floats, Ints, TrueBoxes, overlaps

Size = Literal["all", "small", "medium", "large"]
SIZES: tuple[Size, ...] = ("all", "small", "medium", "large")
"""The ranges of area by which boxes are evaluated, in the order of every axis of sizes."""
_RANGES = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])  # square pixels, both ends inside
IOUS: Floats = np.linspace(0.5, 0.95, 10)
"""The intersections over union from which on a true box counts as found, in the order of every such axis."""
MOST_DETECTIONS = (1, 10, 100)
"""How many detections of an image and class count at most: the largest number, and COCO's other two."""
RIGHT, WRONG, IGNORED = 1, 0, -1
"""What a detection is at one overlap and size: it finds a true box, it finds none, or it is not counted."""
_MOST_CELLS = 4_000_000  # of temporary arrays, 32 MB each


@dataclass(frozen=True)
class Matches:
    """What each detection is, for every overlap and size, in the order in which average precision reads them.

    Detections are in order of class, then of score, the largest first; ties are in order of image. N is their
    number, at most 100 for each image and class; G is the number of true boxes; K that of classes.
    """

    images: int
    starts: Ints
    """`(K + 1,)`: the detections of class k are `starts[k]:starts[k + 1]`."""
    order: Ints
    """`(N,)`, the position of each of them among the detections that were matched."""
    image: Ints
    """`(N,)`, the number of its image."""
    scores: Floats
    """`(N,)`."""
    rank: Ints
    """`(N,)`, its place among those of its image and class, from 0."""
    outcomes: npt.NDArray[np.int8]
    """`(4, 10, N)`, for each size and overlap: 1 right, 0 wrong, -1 not counted."""
    partners: npt.NDArray[np.int32]
    """`(10, N)`, the true box that it found at each overlap when boxes of all sizes count; -1 for none."""
    true_images: Ints
    """`(G,)`, the number of the image of each true box."""
    true_classes: Ints
    """`(G,)`."""
    is_counted: Bools
    """`(4, G)`, whether each true box counts for each size."""
    groups: Ints | None = None
    """`(images,)`, the number of the group of each image; None if every image is a group of its own."""

    @property
    def classes(self) -> int:
        """The number of classes K."""
        return len(self.starts) - 1

    @property
    def units(self) -> Ints:
        """What an interval draws: the number of each image's group, or of the image, `(images,)`."""
        return np.arange(self.images) if self.groups is None else self.groups

    def rows(self, number: int) -> slice:
        """The detections of a class."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))


def match(
    truth: TrueBoxes, found: Detections, *, images: int, classes: int, groups: Ints | None = None
) -> Matches:
    """Match the detections of each image and class with its true boxes, the largest score first.

    A detection gets the free true box with which it overlaps most, if that is at least the required overlap;
    of equal ones, the last. Boxes that don't count (crowds, ignored ones, those of other sizes) are only
    taken if no other is available; such a detection isn't counted, nor is one that finds nothing and has
    itself another size.

    Args:
        truth: the true boxes.
        found: the detections; the 100 best of each image and class are used.
        images: the number of images, those without any box included.
        classes: the number of classes K.
        groups: the number of the group of each image, for intervals, which draw whole groups; None if every
            image is a group of its own.

    Raises:
        DataError: a box is of an image or class beyond these numbers.

    >>> from regraft.evaluation.boxes import detections, true_boxes
    >>> truth = true_boxes([0, 0], [0, 0], [[0, 0, 10, 10], [20, 0, 30, 10]])
    >>> boxes = [[0, 0, 10, 9], [0, 0, 10, 10], [20, 0, 30, 7]]
    >>> found = detections([0] * 3, [0] * 3, boxes, [0.9, 0.8, 0.7])
    >>> result = match(truth, found, images=1, classes=1)
    >>> result.outcomes[0, [0, 4, 9]].tolist()  # IoU .50, .70 and .95
    [[1, 0, 1], [1, 0, 1], [0, 1, 0]]
    """
    _check("image", images, truth.images, found.images)
    _check("class", classes, truth.classes, found.classes)
    kept, rank, group = _ranked(found)
    counted = _is_counted(truth)
    outcomes, partners = _greedy(truth, counted, found, kept, group)
    order = np.lexsort((np.arange(len(kept)), -found.scores[kept], found.classes[kept]))
    rows = kept[order]
    return Matches(
        images=images,
        starts=np.searchsorted(found.classes[rows], np.arange(classes + 1)),
        order=rows,
        image=found.images[rows],
        scores=found.scores[rows],
        rank=rank[order],
        outcomes=np.ascontiguousarray(outcomes[:, :, order]),
        partners=np.ascontiguousarray(partners[:, order]),
        true_images=truth.images,
        true_classes=truth.classes,
        is_counted=counted,
        groups=groups,
    )


def image_overlaps(
    found: Detections, rows: Ints, truth: TrueBoxes, least: float
) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Pairs of a detection and a true box of one image that overlap by at least `least`, image by image.

    Args:
        found: the detections.
        rows: those to use, in order of their image.
        truth: the true boxes.
        least: the smallest intersection over union.

    Yields:
        Positions in `rows`, numbers of true boxes, and overlaps, each `(P,)`, in this order.
    """
    by_image = np.argsort(truth.images, kind="stable")
    image_of = found.images[rows]
    for image in np.unique(image_of):
        first, last = np.searchsorted(image_of, [image, image + 1])
        near = by_image[slice(*np.searchsorted(truth.images, [image, image + 1], sorter=by_image))]
        shares = overlaps(found.corners[rows[first:last]], truth.corners[near], truth.is_crowd[near])
        one, other = np.nonzero(shares >= least)
        yield one + first, near[other], shares[one, other]


def _check(name: str, count: int, *numbers: Ints) -> None:
    largest = max((int(each.max()) for each in numbers if len(each)), default=-1)
    if largest >= count:
        raise DataError(f"a box is of {name} number {largest}, but numbers are below {count}")


def _ranked(found: Detections) -> tuple[Ints, Ints, Ints]:
    """Detections that are used, by image, class and score; their rank; a number for each image and class."""
    order = np.lexsort((-found.scores, found.classes, found.images))
    image, kind = found.images[order], found.classes[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (image[1:] != image[:-1]) | (kind[1:] != kind[:-1])
    group = np.cumsum(is_first) - 1
    rank = np.arange(len(order)) - np.flatnonzero(is_first)[group]
    is_used = rank < MOST_DETECTIONS[-1]
    return order[is_used], rank[is_used], group[is_used]


def _is_counted(truth: TrueBoxes) -> Bools:
    low, high = _RANGES[:, :1], _RANGES[:, 1:]
    counted: Bools = (truth.areas >= low) & (truth.areas <= high) & ~truth.is_ignored
    return counted


def _greedy(
    truth: TrueBoxes, counted: Bools, found: Detections, kept: Ints, group: Ints
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int32]]:
    """Outcomes `(4, 10, N)` and partners `(10, N)` of the detections `kept`.

    Images and classes don't influence each other, so the first detection of each is matched in one step, then
    the second, and so on. Only detections that overlap enough with some true box take part.
    """
    corners = found.corners[kept]
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    is_other_size = (areas < _RANGES[:, :1]) | (areas > _RANGES[:, 1:])
    outcomes = np.where(is_other_size, IGNORED, WRONG).astype(np.int8)[:, None].repeat(len(IOUS), axis=1)
    partners = np.full((len(IOUS), len(kept)), -1, np.int32)
    is_free = np.ones((len(SIZES), len(IOUS), len(truth) + 1), bool)  # the last is no box
    counts = np.concatenate([counted, np.zeros((len(SIZES), 1), bool)], axis=1)
    is_crowd = np.append(truth.is_crowd, False)
    for rows, choices, shares in _steps(truth, found, kept, group):
        can = is_free[:, :, choices] & (shares >= IOUS[:, None, None])
        does_count = counts[:, choices][:, None]
        has_better = (can & does_count).any(axis=-1, keepdims=True)
        can &= does_count | ~has_better
        best = can.shape[-1] - 1 - np.where(can, shares, -1.0)[..., ::-1].argmax(axis=-1)
        is_hit = np.array(can.any(axis=-1))
        chosen = np.where(is_hit, choices[np.arange(len(rows)), best], len(truth))
        size, iou, place = np.nonzero(is_hit)
        target = chosen[size, iou, place]
        is_free[size, iou, target] = is_crowd[target]
        outcomes[size, iou, rows[place]] = np.where(counts[size, target], RIGHT, IGNORED)
        partners[:, rows] = np.where(is_hit[0], chosen[0], -1)
    return outcomes, partners


def _steps(
    truth: TrueBoxes, found: Detections, kept: Ints, group: Ints
) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Detections to match at once `(n,)`, true boxes for each `(n, C)`, and their overlaps, -1 for no box."""
    pairs = list(image_overlaps(found, kept, truth, IOUS[0]))
    if not pairs:
        return
    row, box, share = (np.concatenate(part) for part in zip(*pairs, strict=True))
    same = found.classes[kept[row]] == truth.classes[box]
    row, box, share = row[same], box[same], share[same]
    rows, starts, widths = np.unique(row, return_index=True, return_counts=True)
    turn = np.arange(len(rows)) - np.searchsorted(group[rows], group[rows])
    by_turn = np.lexsort((widths, turn))
    for now in np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1):
        for part in _parts(now, widths):
            width = np.arange(widths[part].max())
            place = np.minimum(starts[part, None] + width, len(row) - 1)
            is_there = width < widths[part, None]
            yield (
                rows[part],
                np.where(is_there, box[place], len(truth)),
                np.where(is_there, share[place], -1.0),
            )


def _parts(rows: Ints, widths: Ints) -> Iterator[Ints]:
    """Pieces of the rows, which are in order of width, for which temporary arrays stay small."""
    if not len(rows):
        return
    most = max(1, _MOST_CELLS // (len(SIZES) * len(IOUS) * int(widths[rows].max())))
    for start in range(0, len(rows), most):
        yield rows[start : start + most]
