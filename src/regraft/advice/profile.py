"""The depth profile: how well the features of each stage separate the classes, from one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regraft.evaluation.scores import wilson
from regraft.features.kernel_heads import cross_validated_svm
from regraft.features.linear_heads import cross_validated_logistic
from regraft.features.training_rows import Candidate, TrainingRows, accuracy
from regraft.progress import Reporter, Silent
from regraft.records import Column, Estimate, Record

MAX_IMAGES = 3_000
_MAX_LOGISTIC_WORK = 1e9  # images x columns x classes x folds, of all stages: about ten seconds on two cores


class StageKnowledge(Record):
    """Accuracy of heads on one stage, by cross-validation on the training images."""

    stage: str
    svm: Estimate
    """RBF SVM of medium width and strength on means and standard deviations."""
    logistic: Estimate | None
    """Logistic regression on the means (or the class token); None if it was left out to save time."""


class DepthProfile(Record):
    """Accuracy at each depth, as shares with Wilson's 95 % intervals."""

    images: int
    folds: int
    stages: tuple[StageKnowledge, ...]

    @property
    def peak(self) -> StageKnowledge:
        """The stage where the SVMs' accuracy peaks after smoothing over neighbours (1/4, 1/2, 1/4).

        Smoothing reduces the bias of choosing the best of many noisy values. Among equal stages, the deepest
        is chosen.
        """
        values = np.array([stage.svm.value for stage in self.stages])
        padded = np.concatenate([values[:1], values, values[-1:]])
        smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
        return self.stages[len(values) - 1 - int(smooth[::-1].argmax())]


def depth_profile(
    data: TrainingRows, layout: Sequence[Column], *, reporter: Reporter | None = None
) -> DepthProfile:
    """Measure solved heads at every stage, all cross-validated on the same folds.

    Of more than 3,000 images, a stratified sample of that size is used. With many classes, logistic
    regression is fitted only at every second (third, ...) stage, counted from the last.

    Args:
        data: the training images.
        layout: all feature columns.
        reporter: receives progress.
    """
    sample = data.sample(MAX_IMAGES)
    stages = list(dict.fromkeys(column.stage for column in layout))
    chosen = {stage: tuple(c for c in layout if c.stage == stage) for stage in stages}
    with_logistic = _affordable(sample, [read_by_probe(chosen[stage]) for stage in stages])
    found = []
    with (reporter or Silent()).phase("measuring every depth", len(stages), "stages") as meter:
        for number, stage in enumerate(stages):
            scores = cross_validated_svm(sample, chosen[stage])
            linear = None
            if number in with_logistic:
                linear = cross_validated_logistic(sample, read_by_probe(chosen[stage]))
            found.append(
                StageKnowledge(
                    stage=stage,
                    svm=_share(scores, sample),
                    logistic=None if linear is None else _share(linear, sample),
                )
            )
            meter.advance()
    return DepthProfile(images=len(sample.keys), folds=int(sample.folds.max()) + 1, stages=tuple(found))


def read_by_probe(columns: Sequence[Column]) -> Candidate:
    """The columns of a stage that the network's own classifier would read: the class token, or the means."""
    wanted = "token" if any(column.statistic == "token" for column in columns) else "mean"
    return tuple(column for column in columns if column.statistic == wanted)


def _affordable(data: TrainingRows, candidates: Sequence[Candidate]) -> set[int]:
    """The stages at which logistic regression is fitted: all, or every n-th counted from the last."""
    folds = int(data.folds.max()) + 1
    widths = [sum(c.stop - c.start for c in columns) for columns in candidates]
    work = float(len(data.keys)) * sum(widths) * data.num_classes * folds
    step = max(1, int(np.ceil(work / _MAX_LOGISTIC_WORK)))
    return set(range(len(candidates) - 1, -1, -step))


def _share(scores: np.ndarray, data: TrainingRows) -> Estimate:
    return wilson(round(accuracy(scores, data.labels) * len(data.keys)), len(data.keys))
