"""What a label means: the contract between data, heads, training, prediction and reports.

A label is a text wherever it is stored (`ImageItem.label`, `split.csv`, `predictions.csv`); only its task
knows what the text means. A task belongs to a data set, since it names the outputs of a model, and it is
saved with the model, since it turns outputs into answers. Everything in this folder is plain numpy.

What happened with class numbers before there were tasks goes through a task like this:

- reading: tables and folders give texts, `read` checks one and gives its canonical form;
  `TASKS[name].of(texts)` names the outputs, as `Images.labels` does;
- `Dataset.truth` is `targets`; a split, the folds and samples balance `strata`;
- a head or a tail has `len(outputs)` outputs, which `link` turns into what users see; nobody else asks what
  they are, but looks the link up in a table of losses, objectives or graph operations;
- `decided` chooses what depends on predictions for images that the model did not see (thresholds, the width
  of intervals), before any test image is used;
- `Dataset.evaluate` is `score` on both sides, and on `baseline`; files and pages list `measures`;
- contenders of a ladder, runs and networks are compared by `goodness`, image by image, and `merit` is shown;
- `predictions.csv` has the columns and cells of `row`, from which `goodness_of` computes the goodness again
  for `regraft compare`;
- `predict` and the server show `answer`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from regraft.records import Estimate, Link, TaskName

Floats = npt.NDArray[Any]
_TITLES = {
    "auroc": "AUROC",
    "map50": "mAP50",
    "macro_auroc": "macro AUROC",
    "f1": "F1",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "r_squared": "R²",
    "brier_score": "Brier score",
    "log_loss": "log-loss",
    "quadratic_kappa": "quadratic weighted kappa",
    "ppv": "PPV",
    "npv": "NPV",
    "ppv_at_goal": "PPV at goal",
    "npv_at_goal": "NPV at goal",
    "ppv_at_prevalence": "PPV at prevalence",
    "npv_at_prevalence": "NPV at prevalence",
    "ppv_at_prevalence_at_goal": "PPV at prevalence, at goal",
    "npv_at_prevalence_at_goal": "NPV at prevalence, at goal",
}
_LOSSES = frozenset(
    ["log_loss", "calibration_error", "brier_score", "mean_absolute_error", "root_mean_squared_error"]
)
BY_GROUP = "_by_group"
"""The end of the name of a score that counts groups of images."""
MOST_COLUMNS = 50
"""The largest number of classes whose probabilities `predictions.csv` lists."""


@dataclass(frozen=True)
class Measure:
    """A score with its name, as it is listed in files and shown on pages."""

    name: str
    """The name of the record's field, for example `macro_f1`."""
    value: float | None
    """None where the score is not defined, such as the AUROC of a label that no test image has."""
    low: float | None = None
    high: float | None = None
    images: int = 0
    """Number of images that it is of; of groups, if it counts these."""
    output: str = ""
    """The output that is measured, such as a class; empty for all together."""
    is_share: bool = True
    """Whether it is a share in [0, 1], shown in percent; otherwise it has a unit."""

    @property
    def is_loss(self) -> bool:
        """Whether smaller values are better.

        >>> Measure("accuracy", 0.9).is_loss, Measure("mean_absolute_error", 0.9).is_loss
        (False, True)
        """
        return self.name.removesuffix(BY_GROUP) in _LOSSES

    @property
    def merit(self) -> float:
        """The value, or minus the value of a loss: larger is better; minus infinity if it is not defined."""
        return -math.inf if self.value is None else -self.value if self.is_loss else self.value

    @property
    def title(self) -> str:
        """The name in words, for headings.

        >>> Measure("brier_score_by_group", None).title
        'Brier score by group'
        """
        name = self.name.removesuffix(BY_GROUP)
        end = BY_GROUP.replace("_", " ") if name != self.name else ""
        return _TITLES.get(name, name.replace("_", " ")) + end

    @property
    def best_word(self) -> str:
        """What the best of several is called.

        >>> Measure("accuracy", None).best_word, Measure("log_loss", None).best_word
        ('the most accurate', 'the best by log-loss')
        """
        return "the most accurate" if self.name == "accuracy" else f"the best by {self.title}"

    @classmethod
    def of(
        cls, name: str, estimate: Estimate | None, images: int, *, output: str = "", is_share: bool = True
    ) -> Measure:
        """A measure from an estimate; without one it is not defined."""
        if estimate is None:
            return cls(name, None, images=images, output=output, is_share=is_share)
        return cls(name, estimate.value, estimate.low, estimate.high, images, output, is_share)

    @property
    def estimate(self) -> Estimate | None:
        """The value with its interval; None if it is not defined."""
        return None if self.value is None else Estimate(value=self.value, low=self.low, high=self.high)

    @property
    def text(self) -> str:
        """The value as it is shown, without the interval.

        >>> Measure("accuracy", 0.912).text, Measure("auroc", None).text
        ('91.2 %', 'not defined')
        >>> Measure("mean_absolute_error", 0.1234, is_share=False).text
        '0.123'
        """
        if self.value is None:
            return "not defined"
        return f"{100 * self.value:.1f} %" if self.is_share else f"{self.value:.3g}"


@dataclass(frozen=True)
class Answer:
    """What a model says about one image, for people and for programs."""

    text: str
    """The predicted label, as tables write it."""
    cells: Mapping[str, str]
    """Columns of a CSV file, by their names, in order."""
    facts: Mapping[str, Any]
    """The fields of a JSON object."""


_TAKEN = ("path", "side", "label", "labels", "predicted", "probability")
_OF = "probability of "


def column_of(output: str) -> str:
    """The column of a table with an output's probability: its name, unless another column is called so.

    >>> column_of("cat"), column_of("path")
    ('cat', 'probability of path')
    """
    return _OF + output if output in _TAKEN or output.startswith(_OF) else output


class Task(Protocol):
    """What the labels of a data set mean; see the top of this file. Tasks are immutable, and saved as JSON.

    N is the number of images and K that of outputs. Outputs are always `(N, K) float64`: what the link makes
    of scores. The shape of targets is the task's own, with one entry or row for each image, so that
    `targets[chosen]` selects images.
    """

    @property
    def name(self) -> TaskName:
        """The name of the task, as `--task` accepts it."""

    @property
    def link(self) -> Link:
        """How the scores of a head become outputs."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the K outputs, in order."""

    @classmethod
    def of(cls, labels: Sequence[str]) -> Self:
        """The task of a data set, from the canonical labels of all its images.

        Raises:
            DataError: nothing can be learned from these labels.
        """

    @staticmethod
    def read(cell: str) -> str:
        """The canonical form of a label: equal texts have equal meanings.

        Args:
            cell: a folder's name or a table's cell, tidied by `data.labels`.

        Raises:
            DataError: the text can't be a label of this task; the message does not name its place.
        """

    def targets(self, labels: Sequence[str]) -> Floats:
        """The labels as numbers, from canonical texts."""

    @staticmethod
    def strata(targets: Floats) -> npt.NDArray[Any]:
        """What splits and folds balance: a stratum for each image `(N,) int64`, or several `(N, S) bool`."""

    @property
    def baseline_name(self) -> str:
        """The name of the trivial model, as a row of a table."""

    @property
    def baseline_method(self) -> str:
        """What the trivial model predicts, in words."""

    @property
    def summary(self) -> str:
        """What is predicted, in two words, such as `3 classes`."""

    def kinds(self, labels: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """What images are counted by: the names of all kinds, and the kinds that each label belongs to."""

    def score(
        self,
        outputs: Floats,
        targets: Floats,
        *,
        method: str,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Any:  # a Record of the task's own
        """All scores of one set of predictions, with 95 % intervals.

        Args:
            outputs: `(N, K)`, N at least 1.
            targets: of the same images.
            method: how the predictions were made, in words; kept in the record.
            groups: the group of each image, which intervals draw as a whole; None means that every image is a
                group.
            seed: random seed of the bootstrap.
        """

    @staticmethod
    def measures(scores: Any) -> tuple[Measure, ...]:
        """The scores as a list, the most important one first."""

    def goodness(self, outputs: Floats, targets: Floats) -> npt.NDArray[np.float64]:
        """How good the prediction for each image is, `(N,) float64`; larger is better.

        It may depend on the other images: only the mean over all that are given has a meaning of its own.
        """

    def span(self, targets: Floats) -> float:
        """The difference of mean goodness that is as much as an accuracy of 0 % and one of 100 % differ.

        Priors about differences are multiplied by this.
        """

    def merit(
        self,
        goodness: Floats,
        *,
        targets: Floats | None = None,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Measure:
        """The mean goodness of some images under the name that users know, with a 95 % interval.

        Args:
            goodness: `(N,)`, N at least 1.
            targets: of the same images; without them, some measures of classes have no interval.
            groups: the group of each image; None means that every image is a group.
            seed: random seed of the bootstrap.
        """

    def baseline(self, targets: Floats, count: int) -> npt.NDArray[np.float64]:
        """Outputs `(count, K)` of the trivial model that knows the training targets and no image."""

    def decided(self, outputs: Floats, targets: Floats, groups: Sequence[str] | None = None) -> Self:
        """This task with all choices that depend on predictions for images that the model did not see.

        Args:
            outputs: `(N, K)`, out of fold or of validation images.
            targets: of the same images.
            groups: the group of each image; None means that every image is a group.
        """

    def answer(self, output: Floats, *, top: int = 1) -> Answer:
        """What the outputs `(K,)` of one image mean.

        Args:
            output: the outputs.
            top: how many outputs are listed, the largest first, where that makes sense.
        """

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `predictions.csv` after path, side and label."""

    def row(self, output: Floats) -> tuple[str, ...]:
        """The cells of these columns for one image, from its outputs `(K,)`."""

    def goodness_of(self, row: Mapping[str, str]) -> float:
        """The goodness of one row of `predictions.csv`, to the digits that are written there."""
