"""Scores of predictions of several labels an image; entries whose truth is not known are left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import Field

from regraft.evaluation.intervals.groups import Ints, by_group, number_of_groups
from regraft.evaluation.ranking import (
    GroupDraws,
    auroc,
    auroc_estimate,
    average_precision,
    average_precision_estimate,
)
from regraft.evaluation.resampling import bootstrap_counts, number_of_draws, percentile_interval
from regraft.records import Estimate, GroupScore, Record
from regraft.tasks.task import Floats

Counts = npt.NDArray[np.float64]
_BLOCK_IMAGES = 4_096
_MANY_IMAGES, _BLOCK_CELLS = 20_000, 4_000_000  # from as many images on, labels are counted in blocks


class LabelScores(Record):
    """The scores of one label."""

    label: str
    images: int
    """Number of images of which it is known whether they have the label."""
    positives: int
    """Number of images that have it."""
    auroc: Estimate | None
    """None, not defined: all known images have the label, or none."""
    average_precision: Estimate | None
    threshold: float
    """The probability from which on the label is predicted; precision, recall and F1 are measured there."""
    precision: float
    recall: float
    f1: float


class MultilabelScores(Record):
    """Scores of one set of predictions; shares are in [0, 1], with 95 % intervals."""

    images: int
    method: str
    macro_auroc: Estimate | None
    """Mean over the labels of which it is defined; None if it is defined of none."""
    macro_average_precision: Estimate | None
    macro_f1: Estimate
    """Mean F1 of the labels that occur or are predicted."""
    micro_f1: Estimate
    """F1 of all known entries together."""
    brier_score: Estimate
    """Mean squared error of the probabilities, first over an image's known labels, then over the images."""
    labels: tuple[LabelScores, ...]
    groups: int | None = Field(None, exclude_if=lambda groups: groups is None)
    """Number of groups of images, of which the intervals are; None if every image is a group of its own."""
    by_group: GroupScore | None = Field(None, exclude_if=lambda score: score is None)
    """The same predictions by group; None if every image is a group of its own."""


def score(
    probabilities: Floats,
    targets: Floats,
    labels: Sequence[str],
    thresholds: Floats,
    *,
    method: str,
    groups: Ints | None = None,
    seed: int = 0,
) -> MultilabelScores:
    """All scores of one set of predictions.

    Intervals of single labels are described in `evaluation.ranking`; those of averages are percentile
    bootstraps over the images, in which a draw's average is over the labels that are defined in it. Where
    images belong together, whole groups are drawn, and single labels have as many fewer images as the
    variance of their scores over these draws is larger than that of independent images.

    Args:
        probabilities: `(N, K)`.
        targets: `(N, K)`, 1 present, 0 absent, NaN unknown.
        labels: names of the K labels.
        thresholds: the probability from which on each label is predicted, `(K,)`.
        method: how the predictions were made, in words.
        groups: the number of each image's group; None if every image is a group of its own.
        seed: random seed of the bootstrap.
    """
    images, width = targets.shape
    is_known, present = ~np.isnan(targets), targets > 0
    predicted = (probabilities >= thresholds) & is_known
    cells = (present & predicted, present, predicted)
    loss = image_losses(probabilities, targets)
    drawn: dict[str, list[Floats]] = {"auroc": [], "average": [], "macro": [], "micro": [], "loss": []}
    by_label: dict[str, list[Floats]] = {"auroc": [], "average": []}
    draws = number_of_draws(images, width)
    for counts in bootstrap_counts(images, draws=draws, seed=seed, groups=groups):
        right, occurs, called = (_drawn(counts, cell) for cell in cells)
        drawn["macro"].append(_macro(right, occurs, called))
        drawn["micro"].append(_micro(right, occurs, called))
        drawn["loss"].append(counts @ loss / counts.sum(axis=1))
        for name, measure in (("auroc", auroc), ("average", average_precision)):
            columns = [
                measure(probabilities[own, number], present[own, number], counts[:, own])
                for number, own in enumerate(is_known.T)
            ]
            drawn[name].append(_mean_of_known(np.array(columns).T))
            by_label[name].append(np.array(columns))
    right, occurs, called = (cell.sum(axis=0, dtype=np.float64)[None] for cell in cells)
    each = tuple(
        _label_scores(
            label,
            probabilities[own, number],
            present[own, number],
            float(thresholds[number]),
            None
            if groups is None
            else [
                GroupDraws(groups[own], np.concatenate([some[number] for some in by_label[name]]))
                for name in ("auroc", "average")
            ],
        )
        for number, (label, own) in enumerate(zip(labels, is_known.T, strict=True))
    )

    def interval(value: float, name: str) -> Estimate:
        return percentile_interval(value, np.concatenate(drawn[name]), number_of_groups(groups))

    def macro(name: str, of: str) -> Estimate | None:
        values = [one.value for label in each if (one := getattr(label, of)) is not None]
        return interval(float(np.mean(values)), name) if values else None

    return MultilabelScores(
        images=images,
        method=by_group(method, groups),
        groups=number_of_groups(groups),
        macro_auroc=macro("auroc", "auroc"),
        macro_average_precision=macro("average", "average_precision"),
        macro_f1=interval(float(_macro(right, occurs, called)[0]), "macro"),
        micro_f1=interval(float(_micro(right, occurs, called)[0]), "micro"),
        brier_score=interval(float(loss.mean()), "loss"),
        labels=each,
    )


def image_losses(probabilities: Floats, targets: Floats) -> Counts:
    """The mean squared error of each image's known labels, `(N,)`, in blocks of images; 0 without any.

    Args:
        probabilities: `(N, K)`.
        targets: `(N, K)`, 1 present, 0 absent, NaN unknown.
    """
    losses: Counts = np.empty(len(targets))
    for start in range(0, len(targets), _BLOCK_IMAGES):
        part = slice(start, start + _BLOCK_IMAGES)
        is_known = ~np.isnan(targets[part])
        known = np.where(is_known, targets[part], 0)
        squares = np.where(is_known, (probabilities[part].astype(np.float64) - known) ** 2, 0)
        losses[part] = squares.sum(axis=1) / np.maximum(is_known.sum(axis=1), 1)
    return losses


def _drawn(counts: Counts, cell: npt.NDArray[np.bool_]) -> Counts:
    """How often each label's cell is drawn, `(B, K)`: those of many images in blocks of labels."""
    size = cell.shape[1] if len(cell) < _MANY_IMAGES else max(1, _BLOCK_CELLS // len(cell))
    blocks = range(0, cell.shape[1], max(1, size))
    return np.concatenate([counts @ cell[:, at : at + size].astype(np.float64) for at in blocks], axis=1)


def _macro(right: Counts, occurs: Counts, called: Counts) -> Counts:
    """Mean F1 over the labels that occur or are predicted, for each row of counts `(B, K)`; 0 without any."""
    total = occurs + called
    f1 = 2 * right / np.maximum(total, 1)
    result: Counts = f1.sum(axis=1) / np.maximum((total > 0).sum(axis=1), 1)
    return result


def _micro(right: Counts, occurs: Counts, called: Counts) -> Counts:
    result: Counts = 2 * right.sum(axis=1) / np.maximum((occurs + called).sum(axis=1), 1)
    return result


def _mean_of_known(values: Floats) -> Counts:
    """The mean of each row `(B, K)` over the entries that are not NaN; NaN for a row of nothing else."""
    is_known = ~np.isnan(values)
    count = is_known.sum(axis=1)
    total = np.where(is_known, values, 0).sum(axis=1)
    means: Counts = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return means


def _label_scores(
    label: str,
    chances: Floats,
    present: Floats,
    threshold: float,
    drawn: Sequence[GroupDraws] | None,
) -> LabelScores:
    predicted = chances >= threshold
    right, occurs, called = int((present & predicted).sum()), int(present.sum()), int(predicted.sum())
    areas, means = drawn or (None, None)
    return LabelScores(
        label=label,
        images=len(present),
        positives=occurs,
        auroc=auroc_estimate(chances, present, areas),
        average_precision=average_precision_estimate(chances, present, means),
        threshold=threshold,
        precision=right / max(called, 1),
        recall=right / max(occurs, 1),
        f1=2 * right / max(occurs + called, 1),
    )
