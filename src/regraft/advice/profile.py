"""The depth profile: how well the features of each stage separate the classes, from one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from regraft.heads.kernel import cross_validated_least_squares, cross_validated_svm
from regraft.heads.kernel_machines import is_paired
from regraft.heads.rows import Candidate, TrainingRows, measure_of, share_of
from regraft.progress import Reporter, Silent
from regraft.records import Column, Estimate, Record, columns_of, stages_of
from regraft.tasks.classes.goodness import SCORE_NAMES
from regraft.tasks.task import Measure

MAX_IMAGES = 3_000
MAX_NEAR = 3
"""The largest number of stages at which an SVM is measured."""
NEAR = 0.02
"""A stage is close to the best one if its smoothed accuracy is at most this much lower."""


class StageKnowledge(Record):
    """Accuracy of heads on one stage, by cross-validation on the training images."""

    stage: str
    least_squares: Estimate
    """Least-squares SVM with a Gaussian kernel of medium width and strength, on means and standard
    deviations."""
    svm: Estimate | None
    """SVM with the same kernel and strength. None, not measured: the stage is far from the best, or there are
    more than 100 classes, of which all SVMs here are least-squares SVMs."""


class DepthProfile(Record):
    """Accuracy at each depth, as shares with 95 % intervals."""

    images: int
    folds: int
    stages: tuple[StageKnowledge, ...]
    measure: str = Field("accuracy", exclude_if=lambda name: name == "accuracy")
    """What the shares are, if models are compared by another one."""

    @property
    def title(self) -> str:
        """What the shares are, in words."""
        return Measure(self.measure, None).title

    @property
    def peak(self) -> StageKnowledge:
        """The stage where the accuracy of least-squares SVMs peaks after smoothing over neighbours.

        Among equal stages, the deepest is chosen. The SVMs near the peak are not used: choosing the best of
        them was no better on other folds.
        """
        smooth = smoothed([stage.least_squares.value for stage in self.stages])
        return self.stages[len(smooth) - 1 - int(smooth[::-1].argmax())]


def smoothed(values: Sequence[float]) -> np.ndarray:
    """Each value averaged with its neighbours (1/4, 1/2, 1/4); an end counts as its own neighbour.

    Smoothing reduces the bias of choosing the best of many noisy values.

    >>> smoothed([0.0, 1.0, 0.0])
    array([0.25, 0.5 , 0.25])
    """
    padded = np.array([values[0], *values, values[-1]])
    smooth: np.ndarray = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return smooth


def depth_profile(
    data: TrainingRows, layout: Sequence[Column], *, reporter: Reporter | None = None
) -> DepthProfile:
    """Measure least-squares SVMs at every stage and SVMs near the peak, cross-validated on the same folds.

    Of more than 3,000 images, a stratified sample of that size is used. Least-squares SVMs have a closed form
    and the order of stages that SVMs find (`benchmarks/profile_agreement.py`).

    Args:
        data: the training images.
        layout: all feature columns.
        reporter: receives progress.
    """
    sample = data.sample(MAX_IMAGES)
    stages = stages_of(layout)
    chosen = {stage: columns_of(layout, [stage]) for stage in stages}
    with (reporter or Silent()).phase("measuring every depth", len(stages), "stages") as meter:
        everywhere = []
        for stage in stages:
            everywhere.append(_share(cross_validated_least_squares(sample, chosen[stage]), sample))
            meter.advance()
    near = close_to_best([one.value for one in everywhere]) if is_paired(sample.num_outputs) else []
    exact = {place: _share(cross_validated_svm(sample, chosen[stages[place]]), sample) for place in near}
    found = tuple(
        StageKnowledge(stage=stage, least_squares=one, svm=exact.get(place))
        for place, (stage, one) in enumerate(zip(stages, everywhere, strict=True))
    )
    measure = measure_of(data.task)
    return DepthProfile(
        images=len(sample.keys),
        folds=int(sample.folds.max()) + 1,
        stages=found,
        measure="accuracy" if measure == "log-loss" else SCORE_NAMES[measure],
    )


def close_to_best(values: Sequence[float]) -> list[int]:
    """The numbers of at most three stages whose smoothed accuracy is best or nearly so, in their order.

    >>> close_to_best([0.5, 0.8, 0.82, 0.82])
    [2, 3]
    """
    smooth = smoothed(values)
    order = sorted(range(len(smooth)), key=lambda place: (-smooth[place], -place))
    return sorted(place for place in order[:MAX_NEAR] if smooth[place] >= smooth.max() - NEAR)


def read_by_probe(columns: Sequence[Column]) -> Candidate:
    """The columns of a stage that the network's own classifier would read: the class token, or the means."""
    wanted = "token" if any(column.statistic == "token" for column in columns) else "mean"
    return tuple(column for column in columns if column.statistic == wanted)


def _share(scores: np.ndarray, data: TrainingRows) -> Estimate:
    found = share_of(data, scores).estimate
    assert found is not None
    return found
