"""Average precision and recall as COCO defines them, for all images at once or for many draws of images.

Matching does not depend on which other images there are, so a draw only changes how often each detection and
each true box counts. Precision can be largest only at detections that are right, so only these are looked at.

Source: Lin et al. 2014, "Microsoft COCO: common objects in context"; Everingham et al. 2010, "The Pascal
visual object classes challenge", section 4.2 (interpolated precision); pycocotools (`COCOeval.accumulate`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.evaluation.boxes import Bools, Floats, Ints
from regraft.evaluation.matching import IGNORED, IOUS, MOST_DETECTIONS, RIGHT, SIZES, Matches, Size

RECALLS: Floats = np.linspace(0.0, 1.0, 101)
"""The recalls at which precision is averaged."""
_TINY = np.spacing(1.0)  # pycocotools adds it to each denominator; results agree to the last digits with it
_CELLS = 200_000  # of a temporary array: small enough for a processor's cache


def average_precision(
    matches: Matches,
    counts: Floats | None = None,
    *,
    sizes: Sequence[Size] = SIZES,
    ious: Floats = IOUS,
) -> Floats:
    """Mean precision at 101 recalls, of each class, for each size and overlap.

    Draws equal literal repetition of their images, copies next to each other, except that tied scores within
    one image would alternate between the copies.

    Args:
        matches: what each detection is.
        counts: `(B, images)`, whole numbers, how often each image is in each of B draws; None for a single
            draw with each image once.
        sizes: the S sizes to compute.
        ious: the T overlaps to compute, some of `IOUS`.

    Returns:
        `(B, S, T, K) float64` in [0, 1]; NaN where a draw has no true box of the class and size.

    >>> from regraft.evaluation.boxes import detections, true_boxes
    >>> from regraft.evaluation.matching import match
    >>> truth = true_boxes([0, 1], [0, 0], [[0, 0, 10, 10], [0, 0, 10, 10]])
    >>> boxes = [[0, 0, 9, 10], [50, 50, 60, 60], [0, 0, 10, 6]]
    >>> found = detections([0, 0, 1], [0] * 3, boxes, [0.9, 0.8, 0.7])
    >>> matches = match(truth, found, images=2, classes=1)
    >>> average_precision(matches, sizes=["all"], ious=np.array([0.5, 0.75])).round(4).tolist()
    [[[[0.835], [0.505]]]]
    >>> average_precision(matches, np.array([[2.0, 0], [0, 2]]), sizes=["all"], ious=np.array([0.5])).ravel()
    array([1., 1.])
    """
    result = np.full((1 if counts is None else len(counts), len(sizes), len(ious), matches.classes), np.nan)
    for part, weights in _chunks(matches, counts):
        for number in range(matches.classes):
            for curve in _curves(matches, number, weights, sizes, ious):
                result[part, curve.size, curve.iou, number] = curve.mean
    return result


def precision_curve(
    matches: Matches, number: int, counts: Floats | None = None, *, iou: float = 0.5, size: Size = "all"
) -> Floats:
    """The precision of one class at each of the 101 `RECALLS`: the largest at this recall or a higher one.

    Args:
        matches: what each detection is.
        number: the number of the class.
        counts: `(B, images)`, as in `average_precision`.
        iou: the overlap, one of `IOUS`.
        size: the size.

    Returns:
        `(B, 101) float64`; 0 for recalls that are not reached, NaN for draws without a true box of the class.
    """
    result = np.full((1 if counts is None else len(counts), len(RECALLS)), np.nan)
    for part, weights in _chunks(matches, counts):
        for curve in _curves(matches, number, weights, [size], np.array([iou])):
            result[part] = curve.at_recalls
    return result


def interpolated_precision(is_right: Bools, total: int) -> float:
    """Mean precision at 101 recalls of detections in order of score, the largest first.

    Args:
        is_right: `(N,)`, whether each of them finds a true box.
        total: the number of true boxes, at least 1.

    >>> round(interpolated_precision(np.array([True, False, True]), 2), 4)  # (51 * 1 + 50 * 2/3) / 101
    0.835
    """
    found = np.cumsum(np.ones((int(is_right.sum()), 1)), axis=0)
    precision = found / (np.flatnonzero(is_right)[:, None] + 1 + _TINY)
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return float(_Curve(0, 0, np.ones(1, bool), _reached(found / total), best).mean[0])


def recall(matches: Matches, counts: Floats | None = None) -> Floats:
    """The share of the true boxes that are found, with at most 1, 10 and 100 detections an image and class.

    Args:
        matches: what each detection is.
        counts: `(B, images)`, as in `average_precision`.

    Returns:
        `(B, 3, 4, 10, K) float64`, by number of detections, size, overlap and class; NaN as in
        `average_precision`. COCO's average recall is the mean over overlaps and classes.
    """
    draws = np.ones((1, matches.images)) if counts is None else counts
    shape = (len(draws), len(MOST_DETECTIONS), len(SIZES), len(IOUS), matches.classes)
    result = np.full(shape, np.nan)
    for number in range(matches.classes):
        total = true_counts(matches, number, SIZES) @ draws.T
        rows = matches.rows(number)
        is_right = matches.outcomes[:, :, rows] == RIGHT
        for place, most in enumerate(MOST_DETECTIONS):
            size, iou, row = np.nonzero(is_right & (matches.rank[rows] < most))
            cell = (size * len(IOUS) + iou) * matches.images + matches.image[rows][row]
            width = len(SIZES) * len(IOUS) * matches.images
            found = np.bincount(cell, minlength=width).reshape(len(SIZES), len(IOUS), matches.images)
            right = found.astype(np.float64) @ draws.T
            share = right / np.where(total > 0, total, np.nan)[:, None]
            result[:, place, :, :, number] = np.moveaxis(share, -1, 0)
    return result


def mean_over_classes(values: Floats) -> Floats:
    """The mean over the last axis, classes without a true box (NaN) left out; NaN if all are.

    >>> mean_over_classes(np.array([[0.5, np.nan, 0.7], [np.nan, np.nan, np.nan]]))
    array([0.6, nan])
    """
    is_known = ~np.isnan(values)
    number = is_known.sum(axis=-1)
    total = np.where(is_known, values, 0).sum(axis=-1)
    means: Floats = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
    return means


def true_counts(matches: Matches, number: int, sizes: Sequence[Size]) -> Floats:
    """The number of true boxes of a class in each image that count for each size, `(S, images) float64`."""
    is_own = matches.true_classes == number
    counts = np.zeros((len(sizes), matches.images))
    for place, size in enumerate(sizes):
        images = matches.true_images[is_own & matches.is_counted[SIZES.index(size)]]
        counts[place] = np.bincount(images, minlength=matches.images)
    return counts


def _chunks(matches: Matches, counts: Floats | None) -> Iterator[tuple[slice, Floats]]:
    """Some draws at a time, as `(images, draws)`."""
    if counts is None:
        yield slice(0, 1), np.ones((matches.images, 1))
        return
    longest = int(np.diff(matches.starts).max(initial=1))
    width = max(16, _CELLS // longest)
    for start in range(0, len(counts), width):
        part = slice(start, min(start + width, len(counts)))
        yield part, np.ascontiguousarray(counts[part].T, dtype=np.float64)


@dataclass(frozen=True)
class _Curve:
    """Precision and recall of B draws at the R right detections of one class, size and overlap."""

    size: int
    iou: int
    is_known: Bools
    """`(B,)`, whether the draw has a true box."""
    reached: Floats
    """`(R, B)`, how many of the 101 recalls are reached at each detection."""
    precision: Floats
    """`(R, B)`, the largest precision there or later."""

    @property
    def mean(self) -> Floats:
        """`(B,)`, the mean precision."""
        steps = np.diff(self.reached, axis=0, prepend=0)
        return np.where(self.is_known, (steps * self.precision).sum(axis=0) / len(RECALLS), np.nan)

    @property
    def at_recalls(self) -> Floats:
        """`(B, 101)`, the precision at each recall."""
        curves = np.full((len(self.is_known), len(RECALLS)), np.nan)
        for draw in np.flatnonzero(self.is_known):
            first = np.searchsorted(self.reached[:, draw], np.arange(len(RECALLS)), side="right")
            curves[draw] = np.append(self.precision[:, draw], 0.0)[first]
        return curves


def _curves(
    matches: Matches, number: int, weights: Floats, sizes: Sequence[Size], ious: Floats
) -> Iterator[_Curve]:
    """The curves of a class for each size and overlap, without the sizes that no draw has a true box of.

    Args:
        matches: what each detection is.
        number: the number of the class.
        weights: `(images, B)`.
        sizes: the sizes.
        ious: the overlaps.
    """
    rows = matches.rows(number)
    weight = weights[matches.image[rows]]
    for place, size in enumerate(sizes):
        total = true_counts(matches, number, [size])[0] @ weights
        if not total.any():
            continue
        known = np.where(total > 0, total, 1.0)
        seen, seen_at = np.empty((0, 0)), None
        for level, iou in enumerate(levels(ious)):
            outcome = matches.outcomes[SIZES.index(size), iou, rows]
            is_seen, is_right = outcome != IGNORED, outcome == RIGHT
            if seen_at is None or not np.array_equal(is_seen, seen_at):
                seen, seen_at = np.cumsum(weight[is_seen], axis=0), is_seen
            found = np.cumsum(weight[is_right], axis=0)
            precision = found / (seen[np.cumsum(is_seen)[is_right] - 1] + _TINY)
            best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
            yield _Curve(place, level, total > 0, _reached(found / known), best)


def _reached(shares: Floats) -> Floats:
    """How many of `RECALLS` are at most each share in [0, 1], compared as they are rounded.

    >>> _reached(np.array([0.0, 0.35, 0.35 + 1e-9, 1.0]))  # 35 * 0.01, as pycocotools has it, is above .35
    array([  1.,  35.,  36., 101.])
    """
    nearest = np.rint(shares * (len(RECALLS) - 1)).astype(np.intp)
    reached: Floats = nearest + (RECALLS[nearest] <= shares).astype(np.float64)
    return reached


def levels(ious: npt.ArrayLike) -> Ints:
    """The positions of overlaps in `IOUS`.

    >>> levels([0.5, 0.75])
    array([0, 5])
    """
    wanted = np.atleast_1d(np.asarray(ious, dtype=np.float64))
    places: Ints = np.rint((wanted - IOUS[0]) * 20).astype(np.int64)
    assert np.allclose(IOUS[places], wanted), "each overlap is one of IOUS"
    return places
