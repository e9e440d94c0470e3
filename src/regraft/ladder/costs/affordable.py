"""The largest sample on which the first head can be solved, where all images are too many."""

from __future__ import annotations

from dataclasses import dataclass, replace

from regraft.heads.many_rows import is_many
from regraft.ladder.costs.solve_cost import solve_cost
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import Amounts
from regraft.records import HeadKind

LEAST_IMAGES = 2_000
"""A sample is not smaller than this, whatever it takes: there is to be a model."""
_SHRINKAGE = 0.8


@dataclass(frozen=True)
class Affordable:
    """How many images fit, and why not all of them."""

    images: int
    reason: str
    """Empty if all fit."""


def affordable(
    kind: HeadKind,
    amounts: Amounts,
    width: int,
    book: CostBook,
    *,
    seconds: float,
    memory_bytes: float,
    times: float = 1.0,
) -> Affordable:
    """The largest number of images on which a head is predicted to fit the time and the memory.

    Data sets of fewer than 20,000 training images are always used whole.

    Args:
        kind: the kind of head; see `solve_cost`.
        amounts: all images, classes and folds.
        width: number of columns that the head reads.
        book: measured costs of units of work.
        seconds: seconds that solving may take.
        memory_bytes: bytes that it may take.
        times: what predicted times are multiplied by.
    """
    images, reason = amounts.train, ""
    while is_many(amounts.train):
        cost = solve_cost(kind, replace(amounts, train=images), width, book).cost
        needed_s = times * cost.seconds
        if needed_s <= seconds and cost.memory_bytes <= memory_bytes:
            break
        if not reason:
            reason = f"predicted {needed_s:.0f} s, {seconds:.0f} s left of the budget"
            if cost.memory_bytes > memory_bytes:
                needed, free = cost.memory_bytes / 1e9, memory_bytes / 1e9
                reason = f"all of them need {needed:.1f} GB of memory, and a head may take {free:.1f}"
        if images == LEAST_IMAGES:
            break
        images = max(LEAST_IMAGES, int(_SHRINKAGE * images))
    return Affordable(images, reason)
