"""Predictions for whole groups of images, such as patients: the mean of the outputs of a group's images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from regraft.evaluation.intervals.groups import group_numbers
from regraft.records import GroupScore
from regraft.tasks.task import BY_GROUP, Floats, Measure, Task


def group_score(
    task: Task, outputs: Floats, targets: Floats, names: Sequence[str] | None
) -> GroupScore | None:
    """The merit of a task by group; None if every image is a group of its own.

    A group is evaluated if all its images have the same target, by the goodness of their mean outputs. Groups
    are independent of each other, so the interval is that of single images.

    Args:
        task: what the targets mean.
        outputs: `(N, K)`.
        targets: of the same images.
        names: the group of each image; None means that every image is a group.

    >>> from regraft.tasks.classification import Classification
    >>> task = Classification.of(["cat", "dog"])
    >>> outputs = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> found = group_score(task, outputs, task.targets(["cat", "cat", "dog"]), ["ann", "ann", "bob"])
    >>> found.score.value, found.groups, found.mixed
    (1.0, 2, 0)
    """
    numbers = group_numbers(names)
    if numbers is None:
        return None
    _, firsts, sizes = np.unique(numbers, return_index=True, return_counts=True)
    means = np.empty((len(sizes), outputs.shape[1]), dtype=outputs.dtype)
    for place, column in enumerate(outputs.T):
        means[:, place] = np.bincount(numbers, weights=column) / sizes
    shared = targets[firsts]
    is_same = _equal(targets, shared[numbers])
    is_pure = np.bincount(numbers, weights=~is_same) == 0
    count = int(is_pure.sum())
    means = means if is_pure.all() else means[is_pure]
    merit = task.merit(task.goodness(means, shared[is_pure])) if count else None
    name = merit.name if merit else task.merit(task.goodness(outputs, targets)).name
    return GroupScore(
        measure=name, groups=count, mixed=len(sizes) - count, score=merit.estimate if merit else None
    )


def _equal(first: Floats, second: Floats) -> Any:
    """Whether the targets of each image are equal; what is unknown in both is equal."""
    is_equal = (first == second) | ((first != first) & (second != second))  # NaN is not equal to itself
    return is_equal.all(axis=1) if is_equal.ndim == 2 else is_equal


def group_remark(scores: Any) -> str:
    """What is counted by group, as a sentence; empty if every image is a group of its own.

    Args:
        scores: the scores of any task.
    """
    found: GroupScore | None = scores.by_group
    if found is None:
        return ""
    one = found.groups == 1
    text = (
        f"by group: a group's prediction is the mean over its images, for {found.groups:,} "
        f"{'group' if one else 'groups'} whose images all have the same label"
    )
    if not found.mixed:
        return text
    are = "group has images" if found.mixed == 1 else "groups have images"
    return f"{text}; {found.mixed:,} {are} with different labels, which are only counted image by image"


def group_measure(score: GroupScore | None, *, is_share: bool) -> tuple[Measure, ...]:
    """The score as a measure in a list; none if every image is a group of its own."""
    if score is None:
        return ()
    return (Measure.of(score.measure + BY_GROUP, score.score, score.groups, is_share=is_share),)
