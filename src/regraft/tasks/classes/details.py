"""The scores of each class and of the positive one of two, with 95 % intervals; see `evaluation.ranking`.

Where images belong to groups, the variance of an AUROC over draws of whole groups is that of its linear part:
how much each image moves it (DeLong et al. 1988; by group, Obuchowski 1997). So one product of matrices gives
the draws of all classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.evaluation.intervals.groups import Ints, number_of_groups
from regraft.evaluation.intervals.shares import share_estimate
from regraft.evaluation.ranking import (
    GroupDraws,
    auroc_estimate,
    average_precision,
    average_precision_estimate,
)
from regraft.evaluation.resampling import bootstrap_counts, number_of_draws, percentile_interval
from regraft.records import ClassScores, Estimate, Scores
from regraft.tasks.classes.goodness import placements

Floats = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]
MOST_CLASSES = 100
"""The largest number of classes that get intervals; of more, there would be thousands."""


def detailed_classes(
    scores: Scores, outputs: Floats, targets: Ints, *, groups: Ints | None, seed: int
) -> tuple[ClassScores, ...]:
    """The scores of each class with intervals of its precision and recall, and its AUROC against the rest.

    Args:
        scores: the scores of the same predictions.
        outputs: probabilities `(N, K)`.
        targets: class numbers `(N,)`.
        groups: the number of each image's group; None if every image is a group of its own.
        seed: random seed of the bootstrap.
    """
    if len(scores.classes) > MOST_CLASSES:
        return scores.classes
    predicted = outputs.argmax(axis=1)
    drawn = None if groups is None else _drawn(_influences(outputs, targets), groups, seed)
    found = []
    for number, one in enumerate(scores.classes):
        present, called = targets == number, predicted == number
        own = None if drawn is None or groups is None else GroupDraws(groups, drawn[:, number])
        more = {
            "precision_interval": _share(present, called, groups),
            "recall_interval": _share(called, present, groups),
            "auroc": auroc_estimate(outputs[:, number], present, own),
        }
        found.append(one.model_copy(update=more))
    return tuple(found)


def mean_auroc(
    classes: tuple[ClassScores, ...], outputs: Floats, targets: Ints, *, groups: Ints | None, seed: int
) -> Estimate | None:
    """The mean AUROC of the classes of which it is defined, each against all others; None if of none.

    Args:
        classes: from `detailed_classes`; the other arguments are the same.
        outputs: probabilities `(N, K)`.
        targets: class numbers `(N,)`.
        groups: the number of each image's group; None if every image is a group of its own.
        seed: random seed of the bootstrap.
    """
    known = [number for number, one in enumerate(classes) if one.auroc is not None]
    if not known:
        return None
    value = float(np.mean([one.auroc.value for one in classes if one.auroc is not None]))
    moves = _influences(outputs, targets)[:, known].mean(axis=1, keepdims=True)
    draws = value + _drawn(moves, groups, seed)[:, 0]
    return percentile_interval(value, np.minimum(draws, 1.0), number_of_groups(groups))


def average_precision_of(
    chances: Floats, present: Bools, *, groups: Ints | None, seed: int
) -> Estimate | None:
    """The average precision of one class, with its interval; None if all images are of it, or none.

    Args:
        chances: the probability of the class, `(N,)`.
        present: whether each image is of it, `(N,)`.
        groups: the number of each image's group; None if every image is a group of its own.
        seed: random seed of the bootstrap.
    """
    if groups is None:
        return average_precision_estimate(chances, present)
    draws = bootstrap_counts(len(present), draws=number_of_draws(len(present)), seed=seed, groups=groups)
    values = np.concatenate([average_precision(chances, present, counts) for counts in draws])
    return average_precision_estimate(chances, present, GroupDraws(groups, values))


def _share(rights: Bools, among: Bools, groups: Ints | None) -> Estimate | None:
    if not among.any():
        return None
    return share_estimate(rights[among], None if groups is None else groups[among])


def _influences(outputs: Floats, targets: Ints) -> Floats:
    """By how much each image moves each class's AUROC, times N, `(N, K)`; 0 where that is not defined."""
    moves = np.zeros(outputs.shape)
    for number in range(outputs.shape[1]):
        present = targets == number
        if present.all() or not present.any():
            continue
        shares = placements(outputs[:, number], present)
        area = float(shares[present].mean())
        counts = np.where(present, present.sum(), (~present).sum())
        moves[:, number] = len(targets) / counts * (shares - area)
    return moves


def _drawn(moves: Floats, groups: Ints | None, seed: int) -> Floats:
    """The sums of moves over N in each bootstrap draw, `(B, K)`."""
    count, width = moves.shape
    draws = bootstrap_counts(count, draws=number_of_draws(count, width), seed=seed, groups=groups)
    sums: Floats = np.concatenate([counts @ moves for counts in draws]) / count
    return sums
