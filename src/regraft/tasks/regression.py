"""Regression: each image has a number, such as an age, a weight or a share."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from regraft.errors import DataError
from regraft.evaluation.conformal import half_width
from regraft.evaluation.intervals.groups import by_group, group_numbers, number_of_groups
from regraft.evaluation.intervals.shares import share_estimate
from regraft.evaluation.resampling import bootstrap_counts, number_of_draws, percentile_interval
from regraft.records import Estimate, GroupScore, Label, Link, Record
from regraft.tasks.groups import group_measure, group_score
from regraft.tasks.task import Answer, Floats, Measure

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_MOST_STRATA, _STRATUM = 10, 10  # bins of the targets that splits balance, and images in each at least


class RegressionScores(Record):
    """Scores of one set of predictions; errors are in the unit of the labels. Intervals are 95 %."""

    images: int
    method: str
    mean_absolute_error: Estimate
    root_mean_squared_error: Estimate
    r_squared: Estimate | None
    """Share of the variance around these images' own mean that is predicted; negative for predictions that
    are worse than that mean. None, not defined: all true numbers are the same."""
    half_width: float | None
    """Half the width of the 90 % prediction intervals; None if too few images were there to choose it."""
    coverage: Estimate | None
    """Share of the images whose true number is in its prediction interval, with Wilson's interval, or its
    like for groups."""
    groups: int | None = Field(None, exclude_if=lambda groups: groups is None)
    """Number of groups of images, of which the intervals are; None if every image is a group of its own."""
    by_group: GroupScore | None = Field(None, exclude_if=lambda score: score is None)
    """The same predictions by group; None if every image is a group of its own."""


class Regression(Record):
    """A number for each image; the single output is its prediction.

    Targets are `(N,) float64`. Goodness is minus the absolute error: in the unit of the labels, and without
    the weight that squares give to a few wrong labels.

    >>> task = Regression.of(["1.5", "2", "4"])
    >>> task.targets(["1.5", "2"]).tolist()
    [1.5, 2.0]
    >>> task.model_copy(update={"half_width": 0.5}).answer(np.array([3.0])).facts
    {'value': 3.0, 'low': 2.5, 'high': 3.5}
    """

    link: ClassVar[Link] = "identity"
    baseline_name: ClassVar[str] = "mean"
    baseline_method: ClassVar[str] = "always the mean of the training numbers"
    name: Literal["regression"] = "regression"
    outputs: Annotated[tuple[Label, ...], Field(min_length=1, max_length=1)] = ("value",)
    half_width: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Half the width of the 90 % prediction interval (see `evaluation.conformal`); None if there is none."""

    @classmethod
    def of(cls, labels: Sequence[str]) -> Self:
        """The task of a data set whose labels are numbers.

        Raises:
            DataError: there are fewer than two different numbers.
        """
        if len(set(labels)) < 2:
            raise DataError(
                f"all {len(labels):,} labels are {labels[0] if labels else 'missing'}; at least 2 different "
                "numbers are needed. Add images with other numbers"
            )
        return cls()

    @staticmethod
    def read(cell: str) -> str:
        """The number in its shortest form; the decimals may come after a point or a comma.

        Raises:
            DataError: the text is not a finite number, or a comma may separate thousands or decimals.

        >>> Regression.read("2,50"), Regression.read("1e3"), Regression.read("-0")
        ('2.5', '1000', '0')
        """
        text = cell.strip()
        if _THOUSANDS.fullmatch(text):
            raise DataError(
                f"the number {text} can mean {text.replace(',', '')} or {text.replace(',', '.')}; write one "
                "of these"
            )
        value = float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            raise DataError(
                f"the label {cell!r} is not a finite number; accepted are numbers such as 3, -0.5 and 2e-3. "
                "Leave this image out, or correct its label"
            )
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)

    def targets(self, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        """The numbers, `(N,) float64`."""
        return np.array([float(label) for label in labels], dtype=np.float64)

    @staticmethod
    def strata(targets: Floats) -> npt.NDArray[np.int64]:
        """Up to ten bins of about equally many images, `(N,) int64`; equal numbers are in the same bin.

        >>> Regression.strata(np.arange(20.0)).tolist()
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
        """
        bins = max(1, min(_MOST_STRATA, len(targets) // _STRATUM))
        edges = np.quantile(targets, np.arange(1, bins) / bins) if len(targets) else np.zeros(0)
        _, strata = np.unique(np.searchsorted(edges, targets, side="right"), return_inverse=True)
        return strata.astype(np.int64)

    @property
    def summary(self) -> str:
        """What is predicted, in two words."""
        return "numbers"

    def kinds(self, labels: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The stratum of each image, named by the range of its numbers.

        >>> Regression().kinds(["1", "2.5"])
        (('1 to 2.5',), [('1 to 2.5',), ('1 to 2.5',)])
        """
        targets = self.targets(labels)
        strata = self.strata(targets)
        ends = [targets[strata == one] for one in range(int(strata.max(initial=-1)) + 1)]
        names = tuple(f"{own.min():g} to {own.max():g}" for own in ends)
        return names, [(names[one],) for one in strata.tolist()]

    def score(
        self,
        outputs: Floats,
        targets: Floats,
        *,
        method: str,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> RegressionScores:
        """Mean absolute error, root mean squared error, R^2, and how often prediction intervals are right."""
        own = group_numbers(groups)
        number = number_of_groups(own)
        count, errors = len(targets), outputs[:, 0] - targets
        around = targets - targets.mean()  # moved, so that R^2 of large numbers loses no digits
        sums = np.stack([np.abs(errors), errors**2, around, around**2], axis=1)
        draws = [
            _errors(counts @ sums / counts.sum(axis=1, keepdims=True))
            for counts in bootstrap_counts(count, draws=number_of_draws(count, 4), seed=seed, groups=own)
        ]
        values, drawn = _errors(sums.mean(axis=0)[None])[0], np.concatenate(draws)
        mean, root, shared = (
            percentile_interval(float(value), column, number)
            for value, column in zip(values, drawn.T, strict=True)
        )
        inside = None if self.half_width is None else np.abs(errors) <= self.half_width
        return RegressionScores(
            images=count,
            method=by_group(method, own),
            mean_absolute_error=mean,
            root_mean_squared_error=root,
            r_squared=None if np.isnan(shared.value) else shared,
            half_width=self.half_width,
            coverage=None if inside is None else share_estimate(inside, own),
            groups=number,
            by_group=group_score(self, outputs, targets, groups),
        )

    @staticmethod
    def measures(scores: RegressionScores) -> tuple[Measure, ...]:
        """Mean absolute error, root mean squared error, R^2 and the coverage of the prediction intervals."""
        return (
            Measure.of("mean_absolute_error", scores.mean_absolute_error, scores.images, is_share=False),
            Measure.of(
                "root_mean_squared_error", scores.root_mean_squared_error, scores.images, is_share=False
            ),
            Measure.of("r_squared", scores.r_squared, scores.images, is_share=False),
            Measure.of("coverage", scores.coverage, scores.images),
            *group_measure(scores.by_group, is_share=False),
        )

    def goodness(self, outputs: Floats, targets: Floats) -> npt.NDArray[np.float64]:
        """Minus the absolute error of each image, `(N,) float64`."""
        result: npt.NDArray[np.float64] = -np.abs(outputs[:, 0] - targets)
        return result

    def span(self, targets: Floats) -> float:
        """The mean absolute error of the baseline: what a perfect model is better by."""
        return max(float(np.abs(targets - targets.mean()).mean()), 1e-300)

    def merit(
        self,
        goodness: Floats,
        *,
        targets: Floats | None = None,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Measure:
        """The mean absolute error, which is smaller for better models, with a bootstrap interval."""
        del targets
        count, own = len(goodness), group_numbers(groups)
        draws = [
            -counts @ goodness / counts.sum(axis=1)
            for counts in bootstrap_counts(count, draws=number_of_draws(count), seed=seed, groups=own)
        ]
        estimate = percentile_interval(-float(goodness.mean()), np.concatenate(draws), number_of_groups(own))
        return Measure.of("mean_absolute_error", estimate, count, is_share=False)

    def baseline(self, targets: Floats, count: int) -> npt.NDArray[np.float64]:
        """The mean of the training targets, `(count, 1)`."""
        return np.full((count, 1), targets.mean(), dtype=np.float64)

    def decided(self, outputs: Floats, targets: Floats, groups: Sequence[str] | None = None) -> Self:
        """This task with the width of its 90 % prediction intervals, from the errors of these predictions."""
        return self.model_copy(update={"half_width": half_width(targets - outputs[:, 0], groups)})

    def answer(self, output: Floats, *, top: int = 1) -> Answer:
        """The number and its 90 % prediction interval, which is empty if there is none."""
        del top
        value = float(output[0])
        width = self.half_width
        facts = {
            "value": value,
            "low": None if width is None else value - width,
            "high": None if width is None else value + width,
        }
        cells = {name: "" if number is None else f"{number:.8g}" for name, number in facts.items()}
        return Answer(cells["value"], cells, facts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The predicted number and the ends of its prediction interval."""
        return ("predicted", "low", "high")

    def row(self, output: Floats) -> tuple[str, ...]:
        """The cells of `columns`."""
        return tuple(self.answer(output).cells.values())

    def goodness_of(self, row: Mapping[str, str]) -> float:
        """Minus the absolute error of a row of `predictions.csv`."""
        return -abs(float(row["label"]) - float(row["predicted"]))


def _errors(means: Floats) -> Floats:
    """Mean absolute error, root mean squared error and R^2 `(B, 3)`, from means `(B, 4)`: see `score`."""
    variance = means[:, 3] - means[:, 2] ** 2
    is_defined = variance > 1e-12 * np.maximum(means[:, 3], 1e-300)
    shared = 1 - np.divide(means[:, 1], variance, out=np.full(len(means), np.nan), where=is_defined)
    return np.stack([means[:, 0], np.sqrt(means[:, 1]), shared], axis=1)
