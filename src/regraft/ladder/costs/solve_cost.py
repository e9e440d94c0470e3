"""What solving a head is predicted to take, and the unit of work under which its time is recorded."""

from __future__ import annotations

from dataclasses import dataclass

from regraft.heads.many_rows import MOST_HELD, held_count, rows_bytes
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import (
    Amounts,
    Cost,
    kernel_cost,
    kernel_work,
    logistic_cost,
    logistic_work,
)
from regraft.records import HeadKind

_MACHINES = 9  # combinations of width and strength tried for an RBF SVM
_RIDGE_FITS = 4  # strengths that are usually tried
_BY_CLASS = 100  # columns of a Gram matrix that take as long as reading rows and adding them up by class


@dataclass(frozen=True)
class SolveCost:
    """A predicted cost, and the work that it was computed from."""

    cost: Cost
    unit: str
    """The name under which a cost book keeps the seconds of one unit."""
    work: float
    """Number of units."""


def solve_cost(kind: HeadKind, amounts: Amounts, width: int, book: CostBook) -> SolveCost:
    """The cost of fitting and cross-validating a head that the ladder uses.

    Args:
        kind: `ridge`, `logistic` or `rbf-svm`.
        amounts: images, classes and folds.
        width: number of columns that the head reads.
        book: measured costs of units of work.
    """
    if kind == "ridge":
        return _ridge_cost(amounts, width, book)
    if kind == "logistic":
        return SolveCost(logistic_cost(amounts, width, book), "softmax", logistic_work(amounts, width))
    cost = kernel_cost(amounts, width, book, machines=_MACHINES)
    return SolveCost(cost, "kernel", kernel_work(amounts, width, _MACHINES))


def _ridge_cost(amounts: Amounts, width: int, book: CostBook) -> SolveCost:
    """A Gram matrix, and for each strength an inverse of the images, or a system for each fold's columns."""
    rows, smaller = float(amounts.train), float(min(width, amounts.train))
    is_dual = amounts.train <= width
    if amounts.are_many:
        return _many_ridge_cost(amounts, width, book)
    systems = _RIDGE_FITS * smaller**3 * (1 if is_dual else amounts.folds / 3)
    scores = 0.0 if is_dual else _RIDGE_FITS * rows * width * amounts.classes
    systems += 0.0 if is_dual else _RIDGE_FITS * amounts.folds * width**2 * amounts.classes
    work = rows * width * smaller + systems + scores
    grams = 8 * smaller**2 * (5 if is_dual else 3 + amounts.folds)
    memory = grams + 4 * rows * width + 3 * 8 * rows * amounts.classes
    seconds = 0.05 + work * book.seconds("ridge")
    return SolveCost(Cost(seconds=seconds, memory_bytes=round(memory)), "ridge", work)


def _many_ridge_cost(amounts: Amounts, width: int, book: CostBook) -> SolveCost:
    """A Gram matrix of all rows, a system of its columns for each strength, and scores of a sample."""
    columns = float(width)
    scores = _RIDGE_FITS * held_count(amounts.train) * columns * amounts.classes
    sums = float(amounts.train) * columns * (columns + _BY_CLASS)
    work = sums + (_RIDGE_FITS + 1) * columns**2 * (columns / 3 + amounts.classes) + scores
    memory = rows_bytes(amounts.train, width) + 8 * width * (5 * width + 6 * amounts.classes)
    memory += 5 * 8 * MOST_HELD * amounts.classes + 4 * MOST_HELD * width
    seconds = 0.05 + work * book.seconds("ridge")
    return SolveCost(Cost(seconds=seconds, memory_bytes=round(memory)), "ridge", work)
