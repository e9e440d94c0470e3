"""Predicted time, disk and memory of each kind of work, from amounts and this machine's rates."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from regraft.heads.kernel import LANDMARKS, SEARCH_ROWS, exact_rows
from regraft.heads.kernel_machines import is_paired
from regraft.heads.many_rows import MOST_HELD, MOST_SEARCHED, is_many, rows_bytes
from regraft.heads.solving.metric import metric_bytes
from regraft.heads.solving.solver import working_bytes
from regraft.networks.weights.finding import Weights
from regraft.networks.zoo.cards import card
from regraft.plans.cost_book import CostBook
from regraft.plans.step_costs import TailCost
from regraft.records import Record

_BASIS = 4.5e-5  # units of logistic-regression work for each (images x images x columns) of the basis
_KERNEL_BYTES = 16  # for each pair of images: distances, their kernel, and the parts that folds copy
_SYSTEM = 0.2  # units of kernel work for each (images x images x images) of a linear system
_MACHINE = 1.33e4  # units of kernel work of an SVM, for each images^1.25 x classes^0.6
_KERNEL_START_S = 0.15
_PASSES = 2e-3  # units of logistic-regression work for each (images x columns x classes) of many images
_CONVERSION = 10  # classes whose products take as long as converting the rows
_PRODUCTS = 100  # products with all rows that a linear machine takes
_BLOCK_BYTES = 500_000_000  # blocks of rows and scores that are worked on
_DUEL = 1.3e5  # units of kernel work that every pair of classes takes, even with few images


class Cost(Record):
    """Predicted cost of one plan."""

    seconds: float
    disk_bytes: int = 0
    memory_bytes: int = 0


def extract_name(weights: Weights, runtime: str, precision: str) -> str:
    """The name under which a cost book keeps the seconds that one image takes from file to features."""
    return f"extract {weights.network}@{weights.input_spec.size_px}/{runtime}/{precision}"


def extraction_s(weights: Weights, runtime: str, precision: str, book: CostBook) -> float:
    """Seconds that one image takes from file to features under the present load.

    As measured on this machine, or else from the network's multiply-adds at the rate of matrix products.
    A network that is neither known here nor in the table counts as zero.
    """
    known, described = book.known(extract_name(weights, runtime, precision)), card(weights.network)
    if known is not None or described is None:
        return known or 0.0
    return 1e-9 * described.multiply_adds * book.seconds("matrix")


@dataclass(frozen=True)
class Amounts:
    """The amount of work that every rung on one data set has: images, classes and folds."""

    train: int
    """Number of training images, including those held out for validation."""
    held: int
    classes: int
    folds: int
    is_part_of_many: bool = False
    """Whether heads are solved as on many images although these are a sample of them."""

    @property
    def are_many(self) -> bool:
        """Whether heads are solved as on many images; see `heads.many_rows`."""
        return self.is_part_of_many or is_many(self.train)


def training_cost(amounts: Amounts, tail: TailCost, *, epochs: int, is_trial: bool = False) -> Cost:
    """The cost of training a tail: prefix pass, epochs, and conversion and evaluation of the result."""
    step, seconds = tail.step, tail.open_s
    if tail.has_prefix:
        seconds += (tail.convert_s if tail.prefix_share else 0.0) + (
            amounts.train * tail.extract_s * tail.prefix_share
        )
    seconds += epochs * ((amounts.train - amounts.held) * step.step_s + amounts.held * step.forward_s)
    if not is_trial:
        seconds += tail.convert_s + amounts.held * tail.extract_s
    disk = step.disk_bytes * amounts.train
    return Cost(seconds=seconds, disk_bytes=disk, memory_bytes=round(1.5 * step.memory_bytes * 32))


def logistic_cost(amounts: Amounts, width: int, book: CostBook) -> Cost:
    """The cost of validating and solving a logistic regression on `width` columns."""
    seconds = 0.1 + logistic_work(amounts, width) * book.seconds("softmax")
    if amounts.are_many:
        weights = 4 * width * amounts.classes
        return Cost(seconds=seconds, memory_bytes=_many_bytes(amounts, width) + working_bytes(1, weights))
    copies = 3 if width > amounts.train else 1  # the rows; with a basis, also a copy and the basis
    numbers = 4 * copies * amounts.train * width + 3 * 8 * amounts.train * amounts.classes
    weights = 4 * min(width, amounts.train) * amounts.classes
    return Cost(seconds=seconds, memory_bytes=numbers + working_bytes(amounts.folds, weights))


def logistic_work(amounts: Amounts, width: int) -> float:
    """Units of work: (images x coordinates)^0.79 x classes^0.45 per fold, and the basis once.

    The number of coordinates is the number of columns or, where that is smaller, the number of images; in the
    second case a basis is computed (`heads/solving/row_space.py`). The powers were fitted to processor
    seconds on 10 to 2,176 images, 1,024 to 7,168 columns and 2 to 136 classes. They are less than one because
    small matrix products are less efficient than large ones.

    Of many images, the strengths are solved on a sample, which takes about as long as two folds of it, and
    two or three times all of them: (images x columns x classes) each pass, and what converting the rows
    takes (`benchmarks/solve_scale.py`: 100,000 images and 100 classes).
    """
    if amounts.are_many:
        sample = replace(amounts, train=min(amounts.train, MOST_SEARCHED), folds=2)
        products = float(amounts.train) * width * (amounts.classes + _CONVERSION)
        return _folds_work(sample, width) + _PASSES * products
    return _folds_work(amounts, width)


def _folds_work(amounts: Amounts, width: int) -> float:
    numbers = float(amounts.train) * min(width, amounts.train)
    basis = _BASIS * float(amounts.train) ** 2 * width if width > amounts.train else 0.0
    return float(numbers**0.79 * amounts.classes**0.45 * amounts.folds + basis)


def kernel_cost(amounts: Amounts, width: int, book: CostBook, *, machines: int) -> Cost:
    """The cost of an RBF SVM: distances over `width` columns, then `machines` SVMs for each fold."""
    work = kernel_work(amounts, width, machines)
    rows, scores = min(amounts.train, exact_rows(amounts.classes)), 8 * amounts.train * amounts.classes
    memory = _KERNEL_BYTES * rows**2 + 3 * scores
    if amounts.are_many:
        memory = _KERNEL_BYTES * SEARCH_ROWS**2 + 4 * amounts.train * LANDMARKS
        memory += _many_bytes(replace(amounts, train=0), LANDMARKS)
    return Cost(seconds=_KERNEL_START_S + work * book.seconds("kernel"), memory_bytes=memory)


def _many_bytes(amounts: Amounts, width: int) -> int:
    """Bytes that a solve on many rows takes, besides the weights."""
    samples = 4 * (MOST_HELD + MOST_SEARCHED) * width
    scores = 5 * 8 * MOST_HELD * amounts.classes
    return rows_bytes(amounts.train, width) + samples + metric_bytes(width) + scores + _BLOCK_BYTES


def kernel_work(amounts: Amounts, width: int, machines: int) -> float:
    """Units of work: pairs of images x columns for the distances, and what `machines` SVMs take in each fold.

    That is 13,300 x images^1.25 x classes^0.6, fitted to seconds on 100 to 2,025 images, 2,048 to 11,264
    columns and 2 to 10 classes (`benchmarks/solve_times.py`): libsvm sees few pairs of images. It solves each
    pair of classes separately, which takes about ten microseconds even with few images. With many classes a
    linear system is solved instead, whose work grows with the cube of the images.

    Of many images, a sample is searched, and a linear machine is solved on kernels with landmarks.
    """
    if amounts.are_many:
        sample = replace(amounts, train=min(amounts.train, SEARCH_ROWS))
        searched = _machines_work(sample, width, machines)
        solved = amounts.classes + _CONVERSION if is_paired(amounts.classes) else LANDMARKS / _PRODUCTS
        return searched + amounts.train * LANDMARKS * (width + LANDMARKS + _PRODUCTS * solved)
    return _machines_work(amounts, width, machines)


def _machines_work(amounts: Amounts, width: int, machines: int) -> float:
    if not is_paired(amounts.classes):
        rows = float(min(amounts.train, exact_rows(amounts.classes)))
        return rows**2 * (width + _SYSTEM * machines * amounts.folds * rows)
    each = _MACHINE * math.pow(amounts.train, 1.25) * math.pow(amounts.classes, 0.6)
    duels = _DUEL * amounts.classes * (amounts.classes - 1) / 2
    return float(amounts.train) ** 2 * width + machines * amounts.folds * (each + duels)
