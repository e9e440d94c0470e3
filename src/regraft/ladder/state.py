"""The state of a ladder: the contender that is kept, the table so far, and the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from regraft.advice.profile import DepthProfile
from regraft.evaluation.intervals.groups import by_group, group_numbers
from regraft.features.extraction import Features
from regraft.features.opening import Compute
from regraft.features.runtimes import Runtime
from regraft.heads.dataset import Dataset
from regraft.heads.rows import TrainingRows
from regraft.ladder.costs.predictions import Predictions
from regraft.ladder.costs.price import compared, image_s, networks_of
from regraft.ladder.ledger import Ledger
from regraft.ladder.rungs import (
    KEEP_AT,
    SOLVED_SCALE,
    Contender,
    Untried,
    chance_better,
    common_rows,
    gained,
    gains,
    paired,
)
from regraft.ladder.stopwatch import Stopwatch, Timing
from regraft.networks.weights.finding import Weights
from regraft.plans.cost_book import CostBook
from regraft.plans.costs import Amounts
from regraft.plans.planning import Circumstances
from regraft.prediction.model import Model
from regraft.progress import Reporter
from regraft.records import stages_of
from regraft.runs.records import LadderRecord, RungRow
from regraft.settings import FitSettings, TrainSettings
from regraft.tasks.task import Measure

if TYPE_CHECKING:  # it imports torch, which solved heads do without
    from regraft.training.group.processes import ProcessGroup

_SCORING_S = 1.0  # seconds for intervals, predictions and the files of the last saved run


@dataclass(frozen=True)
class Inputs:
    """The data, settings and limits of a ladder; no test image is part of them."""

    dataset: Dataset
    """The data set, with features of the training and validation images only."""
    weights: Weights
    circumstances: Circumstances
    settings: FitSettings
    training: TrainSettings
    compute: Compute
    extract_s: float
    """Measured seconds that one image takes from file to features."""
    budget_s: float
    spent_s: float
    """Seconds spent before the first rung on reading, converting and extracting."""
    test_images: int = 0
    """Number of test images, whose features are computed at the end."""
    tests_known: tuple[Weights, int] | None = None
    """A network with its input, and of how many test images its features are in the cache."""
    earlier: Model | None = None
    """The model of the run that the weights come from, for `--head-start previous`."""
    runtime: Runtime | None = None
    """The open runtime of the network; None opens one when features are needed."""
    times: float = 1.0
    """Cost of a pass as a multiple of that by which `extract_s` was measured: the ratio of pixels."""
    group: ProcessGroup | None = None
    """The processes that train together; None for this one alone."""


def pass_ratio(weights: Weights, other: Weights) -> float:
    """Cost of a pass as a multiple of another network's, by the numbers of pixels that it sees."""
    return _work(weights) / _work(other)


def _work(weights: Weights) -> int:
    """Number of pixels of all views of an image."""
    spec = weights.input_spec
    return math.prod(spec.shape) * (2 if spec.average == "mirror" else 1)


@dataclass
class State:
    """The contender that is kept so far, the table and the clock; rungs challenge it.

    Args:
        inputs: data, settings and limits of the ladder.
        ledger: recorded times, by which rungs are chosen.
        book: measured costs of units of work.
        reporter: receives progress and notes.
        keep: called with each contender that is kept, so that a saved model always exists.
        clock: reads seconds; rungs are timed by it.
    """

    inputs: Inputs
    ledger: Ledger
    book: CostBook
    reporter: Reporter
    keep: Callable[[Contender, LadderRecord], None]
    clock: Callable[[], float] = time.perf_counter
    rows: list[RungRow] = field(default_factory=list)
    best: Contender | None = None
    solved: list[Contender] = field(default_factory=list)
    """Contenders with a solved head, in the order in which they were tried."""
    profile: DepthProfile | None = None
    untried: list[Untried] = field(default_factory=list)
    """Trainings that the budget was too short for."""

    def start(self) -> None:
        """Set the clock to the time spent before the first rung, as recorded by the first such fit."""
        self.watch.start(self.inputs.spent_s)

    @cached_property
    def watch(self) -> Stopwatch:
        """Counts the seconds."""
        return Stopwatch(self.ledger, self.clock)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the fit began."""
        return self.watch.elapsed_s

    @property
    def predictions(self) -> Predictions:
        """How far predicted times were off so far."""
        return self.watch.predictions

    @property
    def extract_s(self) -> float:
        """Seconds that one image takes from file to features in the present input."""
        return self._extract_s * self.inputs.times

    @cached_property
    def _extract_s(self) -> float:
        """Seconds that one image took before the first rung, as recorded by the first such fit."""
        return self.remembered("start", "extract_s", self.inputs.extract_s, digits=6)

    def pass_s(self, weights: Weights) -> float:
        """Predicted seconds of one image through a network, whose input may have another size."""
        return self.extract_s * pass_ratio(weights, self.inputs.weights)

    @cached_property
    def multiply_add_s(self) -> float:
        """Seconds of one multiply-add of a head, as recorded by the first such fit."""
        return 1e-9 * self.remembered("start", "matrix_s", self.book.quiet("matrix"), digits=6)

    @property
    def record(self) -> LadderRecord:
        """The table so far."""
        return LadderRecord(budget_s=self.inputs.budget_s, rows=tuple(self.rows), profile=self.profile)

    @property
    def next_rung(self) -> int:
        """Number of the next rung; baselines have the number 0."""
        return 1 + max((row.rung for row in self.rows), default=0)

    @property
    def stages(self) -> list[str]:
        """Names of the network's stages."""
        return stages_of(self.inputs.dataset.features.layout)

    @cached_property
    def training_rows(self) -> TrainingRows:
        """The features and labels that solved heads are fitted on."""
        return self.inputs.dataset.training_rows()

    @cached_property
    def amounts(self) -> Amounts:
        """The amount of work that every rung has: images, classes and folds."""
        dataset = self.inputs.dataset
        train, held, _ = dataset.held_out(self.inputs.training.validation_share)
        folds = int(self.training_rows.folds.max()) + 1
        return Amounts(len(train) + len(held), len(held), len(dataset.images.labels), folds)

    @property
    def reserve_s(self) -> float:
        """Seconds that the end of the fit takes: the test images, through each network of the voters once."""
        networks = networks_of(self.best.voters) if self.best else [self.inputs.weights]
        passes = sum(self._tests_missing(weights) * self.pass_s(weights) for weights in networks)
        return passes + (_SCORING_S if self.inputs.test_images else 0.0)

    def _tests_missing(self, weights: Weights) -> int:
        """Number of test images whose features were not in the cache before the first rung."""
        network, count = self.inputs.tests_known or (None, 0)
        if network is None or network.sha256 != weights.sha256 or network.input_spec != weights.input_spec:
            return self.inputs.test_images
        return self.inputs.test_images - int(self.remembered("start", "tests_known", count))

    def test_s(self) -> float:
        """Seconds that the test images take through a network with the present input."""
        return self.inputs.test_images * self.extract_s

    @property
    def time_left_s(self) -> float:
        """Seconds of the budget that are left for rungs; those that the end takes are set aside."""
        return self.inputs.budget_s - self.elapsed_s - self.reserve_s

    def show_otherwise(self, weights: Weights, features: Features, runtime: Runtime | None = None) -> Inputs:
        """Go on with the images shown in another way; heads that were solved before don't count any more.

        Args:
            weights: the same network, with another input.
            features: of the training and validation images.
            runtime: the network's runtime, if its input has another size.

        Returns:
            The inputs so far, for `go_back`.
        """
        before, spec = self.inputs, weights.input_spec
        size_px = spec.size_px if spec.shape != before.weights.input_spec.shape else None
        self.inputs = replace(
            before,
            dataset=replace(before.dataset, features=features),
            weights=weights,
            circumstances=replace(before.circumstances, input_spec=spec, layout=features.layout),
            settings=replace(before.settings, image_size=size_px or before.settings.image_size),
            runtime=runtime or before.runtime,
            times=before.times * pass_ratio(weights, before.weights),
        )
        self.solved = []
        vars(self).pop("training_rows", None)  # is computed again from the new features
        return before

    def go_back(self, inputs: Inputs, solved: list[Contender]) -> None:
        """Go on with an earlier input, and the heads that were solved on it."""
        self.inputs, self.solved = inputs, solved
        vars(self).pop("training_rows", None)

    @property
    def keeps_present_input(self) -> bool:
        """Whether the contender that is kept sees images as the next rungs show them."""
        return self.best is not None and (
            self.best.voters[0].weights.input_spec == self.inputs.weights.input_spec
        )

    def timed(self, rung: str, *, kind: str = "", predicted_s: float = 0.0) -> AbstractContextManager[Timing]:
        """Time the work of a rung; see `Stopwatch.timed`."""
        return self.watch.timed(rung, kind=kind, predicted_s=predicted_s)

    def predicted(self, rung: str, seconds: float, kind: str = "") -> float:
        """The seconds that were predicted for a rung; see `Stopwatch.predicted`."""
        return self.watch.predicted(rung, seconds, kind)

    def remembered(self, rung: str, what: str, seconds: float, *, digits: int = 3) -> float:
        """The recorded seconds; see `Stopwatch.remembered`."""
        return self.watch.remembered(rung, what, seconds, digits=digits)

    def challenge(
        self,
        contender: Contender,
        *,
        predicted_s: float | None,
        took_s: float,
        needed: float = KEEP_AT,
        scale: float = SOLVED_SCALE,
    ) -> None:
        """Compare a contender with the one that is kept; it takes its place if it is probably better.

        Args:
            contender: the challenger.
            predicted_s: predicted seconds; None if there is no prediction.
            took_s: measured seconds.
            needed: the least probability of being more accurate.
            scale: prior standard deviation of the difference, in points.
        """
        dataset = self.inputs.dataset
        verdict, is_kept = "the first usable model", True
        doubt = None if dataset.rows("validation") else self.training_rows.doubt
        if self.best is not None and doubt:
            verdict, is_kept = f"not compared with it: {doubt}", False
        elif self.best is not None:
            result = paired(contender, self.best, dataset)
            together = group_numbers(dataset.groups(common_rows(contender, self.best)))
            chance = chance_better(gains(contender, self.best, dataset), scale, together)
            is_kept = chance > needed
            price = compared(self._image_s(contender), self._image_s(self.best))
            verdict = (
                f"{gained(contender.merit(dataset), result.difference.value)} "
                f"on {by_group(f'{result.images:,} images', together)}"
                f"{price and f', at {price}'}: better with probability {100 * chance:.0f} %"
            )
        self.best = contender if is_kept else self.best
        self.tell(
            self.next_rung,
            contender.name,
            f"{verdict}{contender.remark and f'; {contender.remark}'}",
            merit=contender.merit(dataset),
            images=len(contender.outputs.rows),
            predicted_s=predicted_s,
            took_s=took_s,
            is_kept=is_kept,
        )
        if is_kept:
            self.keep(contender, self.record)

    def _image_s(self, contender: Contender) -> float:
        return image_s(contender.voters, self.pass_s, self.multiply_add_s)

    def skip(self, name: str, predicted_s: float | None, why: str = "") -> None:
        """Record that a rung was not tried, and why; without a reason, the time is too short."""
        left = max(0.0, self.time_left_s)
        reason = why or f"predicted {predicted_s or 0:.0f} s, {left:.0f} s left of the budget"
        self.tell(self.next_rung, name, f"not tried: {reason}", predicted_s=predicted_s)

    def tell(
        self,
        rung: int,
        name: str,
        verdict: str,
        *,
        merit: Measure | None = None,
        images: int = 0,
        predicted_s: float | None = None,
        took_s: float | None = None,
        is_kept: bool = False,
    ) -> None:
        """Add a line to the table, and report it."""
        row = RungRow(
            rung=rung,
            name=name,
            accuracy=merit.estimate if merit else None,
            measure=merit.name if merit else "accuracy",
            images=images,
            predicted_s=None if predicted_s is None else round(predicted_s, 1),
            took_s=None if took_s is None else round(took_s, 1),
            elapsed_s=round(self.elapsed_s, 1),
            is_kept=is_kept,
            verdict=verdict,
        )
        self.rows.append(row)
        share = "" if merit is None else f": {merit.text}"
        self.reporter.note(f"rung {rung}, {name}{share} ({verdict}{', kept' if is_kept else ''})")
