"""The contenders of a ladder, the rule by which one is kept, and the rows of the ladder's table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import erf

import numpy as np
import numpy.typing as npt

from regraft.evaluation.paired import PairedComparison, compare
from regraft.evaluation.scores import wilson
from regraft.heads.dataset import Job, Predicted, on_average, on_rows
from regraft.plans.plan import Plan, SolvedPlan
from regraft.prediction.voter import Voter
from regraft.records import Estimate
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
    judged: Predicted
    """Predictions for images that it was not trained on."""
    out_of_fold: Predicted | None = None
    """For a solved head: predictions for each training image by heads that were not fitted on it."""
    history: History | None = None
    lineage: tuple[str, ...] = ()

    def accuracy(self, job: Job) -> Estimate:
        """Accuracy on the images that it was evaluated on, with Wilson's interval."""
        rights = self.rights(job)
        return wilson(int(rights.sum()), len(rights))

    def rights(self, job: Job) -> npt.NDArray[np.bool_]:
        """Which of the images that it was evaluated on are predicted correctly."""
        rights: npt.NDArray[np.bool_] = self.judged.probabilities.argmax(axis=1) == job.truth(
            self.judged.rows
        )
        return rights


def common_rows(one: Contender, other: Contender) -> tuple[int, ...]:
    """Rows of the split on which both were evaluated."""
    known = set(other.judged.rows)
    return tuple(row for row in one.judged.rows if row in known)


def duel(challenger: Contender, holder: Contender, job: Job) -> PairedComparison:
    """Compare two contenders on the images on which both were evaluated."""
    rows = common_rows(challenger, holder)
    truth = job.truth(rows)
    first, second = (
        on_rows(one.judged, rows).probabilities.argmax(axis=1) == truth for one in (challenger, holder)
    )
    return compare(first, second)


def chance_better(result: PairedComparison, scale_points: float) -> float:
    """Probability that the first is more accurate, from the images on which exactly one of the two is right.

    The measured difference of accuracies is normal around the true difference, whose prior is normal around
    zero with standard deviation `scale_points`. So a few images change little, and with many images the prior
    hardly matters (normal-normal model, Gelman et al. 2013, section 2.5).

    >>> from regraft.evaluation.paired import compare
    >>> import numpy as np
    >>> few, many = np.array([True] * 6 + [False] * 4), np.array([True] * 600 + [False] * 400)
    >>> [round(chance_better(compare(one, ~one), 2.0), 2) for one in (few, many)]
    [0.52, 1.0]
    """
    count, won, lost = result.images, result.only_first, result.only_second
    gain = 100 * (won - lost) / count
    noise = 100**2 * max(won + lost - (won - lost) ** 2 / count, 1.0) / count**2
    weight = scale_points**2 / (scale_points**2 + noise)
    return 0.5 + 0.5 * erf(weight * gain / (2 * weight * noise) ** 0.5)


def soft_vote(name: str, main: Contender, also: Contender) -> Contender:
    """A vote of two contenders: probabilities averaged over all voters, on common images.

    Args:
        name: name of the result.
        main: the contender whose plan is extended.
        also: a contender with solved heads on the frozen network.
    """
    votes = [main.judged] * len(main.voters) + [also.judged] * len(also.voters)
    heads = (solved_part(also.plan), *also.plan.vote)
    return replace(
        main,
        name=name,
        plan=main.plan.model_copy(update={"vote": (*main.plan.vote, *heads)}),
        voters=(*main.voters, *also.voters),
        judged=on_average(votes),
    )


def solved_part(plan: Plan) -> SolvedPlan:
    """The part of a solved plan that makes it a voter in another plan."""
    return SolvedPlan(head=plan.head, stages=plan.stages, statistics=plan.statistics)
