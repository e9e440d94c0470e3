"""What stands on a ladder: contenders, and the rows of its table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb, erf

import numpy as np
import numpy.typing as npt

from regraft.evaluation.comparison import PairedComparison, compare
from regraft.evaluation.scores import wilson
from regraft.job import Job, Predicted, on_average, on_rows
from regraft.plans import Plan, SolvedPlan
from regraft.prediction.model import Voter
from regraft.records import Estimate, Record
from regraft.training.history import History

KEEP_AT = 0.75
"""A dearer rung is kept if it is more accurate with this probability, by the images that both judged."""

_EXACT_MAX = 1_000  # terms of a binomial sum


class RungRow(Record):
    """One line of a ladder's table."""

    rung: int
    name: str
    accuracy: Estimate | None
    """On validation images, or by cross-validation; None where it was not tried."""
    images: int
    predicted_s: float | None
    took_s: float | None
    elapsed_s: float
    """Since the fit began."""
    is_kept: bool
    verdict: str
    """Why it was kept, or not, or not tried."""


class LadderRecord(Record):
    """`ladder.json`: the rungs in the order in which they were tried."""

    budget_s: float
    rows: tuple[RungRow, ...]


@dataclass(frozen=True)
class Contender:
    """A model that could be the answer."""

    name: str
    plan: Plan
    """Carries it out again."""
    voters: tuple[Voter, ...]
    judged: Predicted
    """What it says of images that it did not learn from."""
    history: History | None = None
    lineage: tuple[str, ...] = ()

    def accuracy(self, job: Job) -> Estimate:
        """On the images that it was judged on, with Wilson's interval."""
        rights = self.rights(job)
        return wilson(int(rights.sum()), len(rights))

    def rights(self, job: Job) -> npt.NDArray[np.bool_]:
        """Which of the images that it was judged on it had right."""
        rights: npt.NDArray[np.bool_] = self.judged.probabilities.argmax(axis=1) == job.truth(
            self.judged.rows
        )
        return rights


def common_rows(one: Contender, other: Contender) -> tuple[int, ...]:
    """Rows that both judged."""
    known = set(other.judged.rows)
    return tuple(row for row in one.judged.rows if row in known)


def duel(challenger: Contender, holder: Contender, job: Job) -> PairedComparison:
    """The two on the images that both judged."""
    rows = common_rows(challenger, holder)
    truth = job.truth(rows)
    first, second = (
        on_rows(one.judged, rows).probabilities.argmax(axis=1) == truth for one in (challenger, holder)
    )
    return compare(first, second)


def chance_better(won: int, lost: int) -> float:
    """Probability that the first is the more accurate, by the images on which just one of the two is right.

    With won and lost such images and a uniform prior, the share of wins is Beta(won + 1, lost + 1); this is
    the probability that it exceeds a half, which is a binomial sum.

    >>> chance_better(2, 2), chance_better(1, 0)
    (0.5, 0.75)
    """
    total = won + lost + 1
    if total > _EXACT_MAX:
        return 0.5 + 0.5 * erf((won - lost) / (2 * total) ** 0.5)
    return float(sum(comb(total, k) for k in range(won + 1)) / 2**total)


def soft_vote(name: str, main: Contender, also: Contender) -> Contender:
    """Both together: probabilities averaged over all voters, on the images that both judged.

    Args:
        name: of the result.
        main: whose plan is extended.
        also: of solved heads on the frozen network.
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
    """A solved plan as one voter of another."""
    return SolvedPlan(head=plan.head, stages=plan.stages, statistics=plan.statistics)
