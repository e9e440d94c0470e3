"""Classification: each image has exactly one of K classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from regraft.errors import DataError
from regraft.evaluation.intervals.groups import group_numbers, number_of_groups
from regraft.evaluation.intervals.shares import share_estimate
from regraft.evaluation.resampling import bootstrap_counts, number_of_draws, percentile_interval
from regraft.evaluation.scores import majority, score
from regraft.goal import Goal
from regraft.records import (
    ClassMeasure,
    Estimate,
    Label,
    Labels,
    Link,
    Rates,
    Record,
    Scores,
    TwoClassScores,
)
from regraft.storage.tables import printable
from regraft.tasks.class_listing import class_measures
from regraft.tasks.classes.details import average_precision_of, detailed_classes, mean_auroc
from regraft.tasks.classes.goodness import SCORE_NAMES, class_goodness
from regraft.tasks.classes.ordering import quadratic_kappa
from regraft.tasks.classes.rates import rates_at
from regraft.tasks.classes.thresholds import goal_threshold
from regraft.tasks.groups import group_measure, group_score
from regraft.tasks.task import MOST_COLUMNS, Answer, Floats, Measure, column_of

Ints = npt.NDArray[np.int64]
Share = Annotated[float, Field(ge=0, le=1.000001, allow_inf_nan=False)]
REJECTED = "rejected"
"""The column of the answer that is withheld, as it is not certain enough."""


def _is_none(value: Any) -> bool:
    return value is None


class Classification(Record):
    """One class for each image; outputs are probabilities that sum to one.

    The largest is the answer, unless a threshold was chosen for the positive one of two classes. Targets are
    class numbers `(N,) int64`. Goodness is 1 for a right answer and 0 for a wrong one, unless models are
    compared by another measure; see `classes.goodness`.

    >>> task = Classification.of(["dog", "cat", "dog"])
    >>> task.outputs, task.targets(["dog", "cat"]).tolist()
    (('cat', 'dog'), [1, 0])
    >>> task.answer(np.array([0.25, 0.75])).text
    'dog'
    """

    link: ClassVar[Link] = "softmax"
    baseline_name: ClassVar[str] = "majority class"
    baseline_method: ClassVar[str] = "always the most frequent training class"
    name: Literal["classification"] = "classification"
    outputs: Labels
    measure: ClassMeasure = Field("accuracy", exclude_if=lambda measure: measure == "accuracy")
    """By what models are compared: which is kept, which strength of a head, and which epoch."""
    positive: Label | None = Field(None, exclude_if=_is_none)
    """The class to be found, of two; None for more classes."""
    goal: str | None = Field(None, max_length=100, exclude_if=_is_none)
    """What the threshold is chosen to reach, as `goal.Goal` reads it."""
    threshold: Share | None = Field(None, exclude_if=_is_none)
    """From which probability on the positive class is the answer; None: the largest probability decides."""
    prevalence: Share | None = Field(None, exclude_if=_is_none)
    """The share of positive images for which predictive values are stated."""
    ordered: tuple[Label, ...] = Field((), exclude_if=lambda ordered: not ordered)
    """The classes in their order, the lowest first; empty for classes without an order."""
    reject_below: Share | None = Field(None, exclude_if=_is_none)
    """An image whose largest probability is lower gets no answer."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.positive is not None and (len(self.outputs) != 2 or self.positive not in self.outputs):
            raise ValueError(f"{self.positive} is not one of two classes")
        if self.ordered and sorted(self.ordered) != sorted(self.outputs):
            raise ValueError("the ordered classes are not the classes")
        if self.threshold is not None and self.positive is None:
            raise ValueError("there is a threshold, but no positive class")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether the names of the classes say all about this task."""
        return self == Classification(outputs=self.outputs)

    @classmethod
    def of(cls, labels: Sequence[str]) -> Self:
        """The classes of a data set, sorted by name.

        Raises:
            DataError: there are fewer than two classes.
        """
        classes = tuple(sorted(set(labels)))
        if len(classes) < 2:
            raise DataError(
                f"all {len(labels):,} labels are {', '.join(classes) or 'missing'}; at least 2 classes are "
                "needed. Add images of another class"
            )
        return cls(outputs=classes)

    @staticmethod
    def read(cell: str) -> str:
        """The name of the class, which is the text itself.

        Raises:
            DataError: the text is empty.
        """
        if not cell:
            raise DataError("no label")
        return cell

    def targets(self, labels: Sequence[str]) -> Ints:
        """Class numbers `(N,) int64`."""
        place = {label: number for number, label in enumerate(self.outputs)}
        return np.array([place[label] for label in labels], dtype=np.int64)

    @staticmethod
    def strata(targets: Ints) -> Ints:
        """The classes."""
        return targets

    @property
    def summary(self) -> str:
        """What is predicted, in two words."""
        return f"{len(self.outputs)} classes"

    def kinds(self, labels: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The class of each image."""
        return self.outputs, [(label,) for label in labels]

    def score(
        self,
        outputs: Floats,
        targets: Ints,
        *,
        method: str,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Scores:
        """Accuracy, F1, log-loss, calibration, AUROC, the confusion matrix, and the scores of each class.

        Of two classes, also what is found of the positive one. All of it is about the class of the largest
        probability, except for what is found at a chosen threshold.
        """
        found = score(outputs, targets, self.outputs, method=method, groups=groups, seed=seed)
        own = group_numbers(groups)
        classes = detailed_classes(found, outputs, targets, groups=own, seed=seed)
        plain = self.model_copy(update={"measure": "accuracy"})  # groups are counted by their accuracy
        more: dict[str, Any] = {
            "by_group": group_score(plain, outputs, targets, groups),
            "measure": self.measure,
            "classes": classes,
            "quadratic_kappa": self._kappa(outputs, targets, own, seed) if self.ordered else None,
        }
        if self.positive is None:
            more["auroc"] = mean_auroc(classes, outputs, targets, groups=own, seed=seed)
        else:
            more["auroc"] = classes[self._place].auroc
            more["two_classes"] = self._two_classes(outputs, targets, own, seed)
        return found.model_copy(update=more)

    @property
    def _place(self) -> int:
        """The number of the positive class."""
        assert self.positive is not None
        return self.outputs.index(self.positive)

    def _two_classes(self, outputs: Floats, targets: Ints, groups: Ints | None, seed: int) -> TwoClassScores:
        present, chances = targets == self._place, outputs[:, self._place]

        def rates(called: npt.NDArray[np.bool_], threshold: float | None) -> Rates:
            return rates_at(present, called, threshold=threshold, groups=groups, prevalence=self.prevalence)

        largest = rates(outputs.argmax(axis=1) == self._place, None)
        chosen = None if self.threshold is None else rates(chances >= self.threshold, self.threshold)
        assert self.positive is not None
        return TwoClassScores(
            positive=self.positive,
            positives=int(present.sum()),
            average_precision=average_precision_of(chances, present, groups=groups, seed=seed),
            largest=largest,
            goal=self.goal,
            chosen=chosen,
            prevalence=self.prevalence,
        )

    def _kappa(self, outputs: Floats, targets: Ints, groups: Ints | None, seed: int) -> Estimate | None:
        """Quadratic weighted kappa, with a bootstrap interval; None if it is not defined."""
        size, places = len(self.outputs), np.array([self.ordered.index(one) for one in self.outputs])
        cells = places[targets] * size + places[outputs.argmax(axis=1)]
        indicators = np.zeros((len(cells), size * size))
        indicators[np.arange(len(cells)), cells] = 1
        value = float(quadratic_kappa(indicators.sum(axis=0).reshape(1, size, size))[0])
        if np.isnan(value):
            return None
        draws = [
            quadratic_kappa((counts @ indicators).reshape(-1, size, size))
            for counts in bootstrap_counts(
                len(cells), draws=number_of_draws(len(cells), size * size), seed=seed, groups=groups
            )
        ]
        return percentile_interval(value, np.concatenate(draws), number_of_groups(groups))

    @staticmethod
    def measures(scores: Scores) -> tuple[Measure, ...]:
        """The scores of all classes together, then those of each; that by which models are compared first."""
        together, each = class_measures(scores)
        return (*together, *group_measure(scores.by_group, is_share=True), *each)

    def goodness(self, outputs: Floats, targets: Ints) -> npt.NDArray[np.float64]:
        """How good each prediction is by the measure; for accuracy, 1 where it is right, else 0."""
        return class_goodness(self.measure, outputs, targets)

    def span(self, targets: Ints) -> float:
        """1, as differences of shares are compared as they are; for log-loss, that of the baseline."""
        if self.measure != "log-loss":
            return 1.0
        return max(-float(self.goodness(self.baseline(targets, len(targets)), targets).mean()), 1e-12)

    def merit(
        self,
        goodness: Floats,
        *,
        targets: Floats | None = None,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Measure:
        """The measure of some images, with its interval.

        That of the accuracy is Wilson's, or its like for groups; that of another measure is a bootstrap over
        images within their classes.
        """
        name, own = SCORE_NAMES[self.measure], group_numbers(groups)
        if self.measure == "accuracy":
            return Measure.of(name, share_estimate(goodness, own), len(goodness))
        is_share = self.measure != "log-loss"
        value = float(goodness.mean()) if is_share else -float(goodness.mean())
        if targets is None:
            return Measure(name, value, images=len(goodness), is_share=is_share)
        strata = targets if is_share else np.zeros(len(goodness), dtype=np.int64)
        means = np.bincount(strata, weights=goodness) / np.maximum(np.bincount(strata), 1)
        moves = (goodness - means[strata]) if is_share else (means[strata] - goodness)
        draws = [
            value + counts @ moves / len(goodness)
            for counts in bootstrap_counts(
                len(goodness), draws=number_of_draws(len(goodness)), seed=seed, groups=own
            )
        ]
        drawn = np.concatenate(draws)
        estimate = percentile_interval(
            value, np.clip(drawn, 0, 1 if is_share else np.inf), number_of_groups(own)
        )
        return Measure.of(name, estimate, len(goodness), is_share=is_share)

    def baseline(self, targets: Ints, count: int) -> npt.NDArray[np.float64]:
        """The frequencies of the classes, smoothed by one."""
        return majority(targets, count, len(self.outputs))

    def decided(self, outputs: Floats, targets: Ints, groups: Sequence[str] | None = None) -> Self:
        """This task with the threshold that reaches the goal on these predictions, if there is a goal."""
        del groups
        if self.goal is None or self.positive is None:
            return self
        chances, present = outputs[:, self._place], targets == self._place
        found = goal_threshold(chances, present, Goal.parse(self.goal))
        return self.model_copy(update={"threshold": found})

    def chosen(self, outputs: Floats) -> Ints:
        """The class that is the answer for each image, before any answer is rejected, `(N,)`.

        Args:
            outputs: `(N, K)`.
        """
        numbers: Ints = outputs.argmax(axis=1).astype(np.int64)
        if self.threshold is None:
            return numbers
        is_called = outputs[:, self._place] >= self.threshold
        return np.where(is_called, self._place, 1 - self._place).astype(np.int64)

    def is_rejected(self, outputs: Floats) -> npt.NDArray[np.bool_]:
        """Whether the largest probability of each image is too small for an answer, `(N,)`."""
        least = -np.inf if self.reject_below is None else self.reject_below
        rejected: npt.NDArray[np.bool_] = outputs.max(axis=1) < least
        return rejected

    def answer(self, output: Floats, *, top: int = 1) -> Answer:
        """The answer and the most probable other classes, as columns `label`, `probability`, `label_2`, ….

        Where answers can be rejected, the column `rejected` names the class of one that is: its label is
        empty.
        """
        first = int(self.chosen(output[None])[0])
        order = [first, *(place for place in np.argsort(-output, kind="stable").tolist() if place != first)]
        best = [(self.outputs[place], float(output[place])) for place in order[:top]]
        label, chance = best[0]
        is_rejected = bool(self.is_rejected(output[None])[0])
        facts: dict[str, Any] = {"label": label, "probability": chance, "top": [list(pair) for pair in best]}
        cells = {"label": label, "probability": f"{chance:.6f}"}
        if self.reject_below is not None:
            facts |= {"label": None if is_rejected else label, REJECTED: label if is_rejected else None}
            cells |= {"label": "" if is_rejected else label, REJECTED: label if is_rejected else ""}
        for number, (other, own) in enumerate(best[1:], start=2):
            cells |= {f"label_{number}": other, f"probability_{number}": f"{own:.6f}"}
        return Answer(cells["label"], cells, facts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The predicted class, its probability, and up to 50 classes that of each."""
        each = self.outputs if len(self.outputs) <= MOST_COLUMNS else ()
        return ("predicted", "probability", *map(column_of, each))

    def row(self, output: Floats) -> tuple[str, ...]:
        """The cells of `columns`."""
        best = int(self.chosen(output[None])[0])
        each = [f"{chance:.6f}" for chance in output] if len(output) <= MOST_COLUMNS else []
        return (self.outputs[best], f"{output[best]:.6f}", *each)

    def goodness_of(self, row: Mapping[str, str]) -> float:
        """1 if the predicted class is the label, else 0, whatever the measure is; see `goodness_in`."""
        return float(row["label"] == row["predicted"])

    def goodness_in(self, rows: Sequence[Mapping[str, str]]) -> npt.NDArray[np.float64] | None:
        """The goodness of all rows of `predictions.csv` together, by the measure and the largest probability.

        None where the table does not say it: of more than 50 classes it has no probabilities.
        """
        place = {printable(label): number for number, label in enumerate(self.outputs)}
        targets = np.array([place[row["label"]] for row in rows], dtype=np.int64)
        if len(self.outputs) <= MOST_COLUMNS:
            names = [printable(column_of(one)) for one in self.outputs]
            return self.goodness(np.array([[float(row[one]) for one in names] for row in rows]), targets)
        if self.measure in ("auroc", "log-loss"):
            return None
        predicted = [place[row["predicted"]] for row in rows]
        return self.goodness(np.eye(len(self.outputs))[predicted], targets)
