"""The contenders of a ladder, the rule by which one is kept, and the rows of the ladder's table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import erf

import numpy as np
import numpy.typing as npt

from regraft.evaluation.intervals.groups import Ints, group_numbers
from regraft.evaluation.paired import PairedComparison, compare_goodness
from regraft.heads.dataset import Dataset, Outputs, on_average, on_rows
from regraft.plans.plan import Plan, SolvedPlan
from regraft.prediction.voter import Voter
from regraft.tasks.task import Measure
from regraft.training.history import History

KEEP_AT = 0.9
"""A more expensive rung is kept if it is more accurate with at least this probability."""
VOTE_AT = 0.5
"""A vote of heads on the same features is kept if it is better at all: it costs almost nothing."""
SOLVED_SCALE, TRAINED_SCALE = 2.0, 5.0
"""Prior standard deviation, in points, of the true difference between two solved heads, and of training."""


@dataclass(frozen=True)
class Untried:
    """A training that the budget was too short for."""

    name: str
    seconds: float
    """Predicted seconds."""
    points: float
    """Points of accuracy that it is expected to gain over what is kept."""


@dataclass(frozen=True)
class Contender:
    """A model that may become the result of the ladder."""

    name: str
    plan: Plan
    """The plan that makes this model again."""
    voters: tuple[Voter, ...]
    outputs: Outputs
    """Predictions for images that it was not trained on."""
    out_of_fold: Outputs | None = None
    """For a solved head: predictions for each training image by heads that were not fitted on it."""
    history: History | None = None
    lineage: tuple[str, ...] = ()
    remark: str = ""
    """What the table says about it besides, such as that it was fitted on a part of the images."""

    def merit(self, dataset: Dataset) -> Measure:
        """Accuracy, or what takes its place, on the images that it was evaluated on, with its interval."""
        rows = self.outputs.rows
        return dataset.task.merit(
            self.goodness(dataset),
            targets=dataset.truth(rows),
            groups=dataset.groups(rows),
            seed=dataset.seed,
        )

    def goodness(self, dataset: Dataset, rows: tuple[int, ...] | None = None) -> npt.NDArray[np.float64]:
        """How good the prediction for each image is, `(N,)`; for classes, 1 where it is right.

        Args:
            dataset: the data set.
            rows: some of the rows that it was evaluated on; None means all of them.
        """
        outputs = self.outputs if rows is None else on_rows(self.outputs, rows)
        return dataset.task.goodness(outputs.values, dataset.truth(outputs.rows))


def common_rows(one: Contender, other: Contender) -> tuple[int, ...]:
    """Rows of the split on which both were evaluated."""
    known = set(other.outputs.rows)
    return tuple(row for row in one.outputs.rows if row in known)


def paired(challenger: Contender, holder: Contender, dataset: Dataset) -> PairedComparison:
    """Compare two contenders on the images on which both were evaluated."""
    rows = common_rows(challenger, holder)
    groups = group_numbers(dataset.groups(rows))
    return compare_goodness(challenger.goodness(dataset, rows), holder.goodness(dataset, rows), groups=groups)


def gains(challenger: Contender, holder: Contender, dataset: Dataset) -> npt.NDArray[np.float64]:
    """By how much the challenger is better on each common image, as a share of the task's span, `(N,)`."""
    rows = common_rows(challenger, holder)
    differences = challenger.goodness(dataset, rows) - holder.goodness(dataset, rows)
    shares: npt.NDArray[np.float64] = differences / dataset.task.span(dataset.truth(dataset.rows("train")))
    return shares


def chance_better(gains: npt.NDArray[np.float64], scale_points: float, groups: Ints | None = None) -> float:
    """Probability that the first of two is better, from the gain on each image.

    For classes, a gain is 1 where only the first is right, -1 where only the second is, and otherwise 0. The
    measured difference of accuracies is normal around the true difference, whose prior is normal around zero
    with standard deviation `scale_points`. So a few images change little, and with many images the prior
    hardly matters (normal-normal model, Gelman et al. 2013, section 2.5). Where images belong to groups, the
    sums over groups are what varies.

    >>> import numpy as np
    >>> few, many = np.array([1.0] * 6 + [-1.0] * 4), np.array([1.0] * 600 + [-1.0] * 400)
    >>> [round(chance_better(one, 2.0), 2) for one in (few, many)]
    [0.52, 1.0]
    """
    count, total = len(gains), float(gains.sum())
    gain = 100 * total / count
    sums = gains if groups is None else np.bincount(groups, weights=gains)
    squares = np.square(sums)
    least = max(float(squares.max()), 1e-30)  # a single image or group is no evidence, however it differs
    noise = 100**2 * max(float(squares.sum()) - total**2 / len(sums), least) / count**2
    weight = scale_points**2 / (scale_points**2 + noise)
    return 0.5 + 0.5 * erf(weight * gain / (2 * weight * noise) ** 0.5)


def gained(merit: Measure, difference: float) -> str:
    """A difference of mean goodness as users read it: in points, or in the unit of a loss.

    >>> gained(Measure("accuracy", 0.9), 0.012)
    '+1.2 points'
    >>> gained(Measure("mean_absolute_error", 0.9, is_share=False), 0.012)
    '-0.012 in mean absolute error'
    """
    if merit.is_share:
        return f"{100 * difference:+.1f} points"
    return f"{-difference if merit.is_loss else difference:+.3g} in {merit.title}"


def soft_vote(name: str, main: Contender, also: Contender) -> Contender:
    """A vote of two contenders: outputs averaged over all voters, on common images.

    Args:
        name: name of the result.
        main: the contender whose plan is extended.
        also: a contender with solved heads on the frozen network.
    """
    votes = [main.outputs] * len(main.voters) + [also.outputs] * len(also.voters)
    heads = (solved_part(also.plan), *also.plan.vote)
    return replace(
        main,
        name=name,
        plan=main.plan.model_copy(update={"vote": (*main.plan.vote, *heads)}),
        voters=(*main.voters, *also.voters),
        outputs=on_average(votes),
    )


def solved_part(plan: Plan) -> SolvedPlan:
    """The part of a solved plan that makes it a voter in another plan."""
    return SolvedPlan(
        head=plan.head, stages=plan.stages, statistics=plan.statistics, most_images=plan.most_images
    )
