"""The ladder of detectors: solved first, then trained, as long as validation shows that it pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from regraft.detection.contenders import (
    SOLVED_AT,
    SOLVED_SCALE,
    Contender,
    chance_better,
    compared,
    map50_estimate,
)
from regraft.detection.dataset import BoxedDataset
from regraft.detection.maps.cached_maps import CachedMaps
from regraft.detection.maps.found import Found
from regraft.detection.maps.projected import ProjectedMaps
from regraft.detection.maps.projection import fit_projection
from regraft.detection.maps.scenes import Scene
from regraft.evaluation.detection_scores import DetectionCurve
from regraft.features.opening import Compute
from regraft.ladder.stopwatch import Stopwatch
from regraft.networks.weights.finding import Weights
from regraft.plans.cost_book import CostBook
from regraft.progress import Reporter
from regraft.records import Estimate, InputSpec
from regraft.runs.records import LadderRecord, RungRow
from regraft.settings import FitSettings, TrainSettings

MEASURE = "map50"
VALIDATION = "validation pictures"
_SCORING_S = 4.0  # seconds for intervals and the files of the last saved run


@dataclass(frozen=True)
class DetectionInputs:
    """The data, settings and limits of a ladder of detectors; no test picture is part of them."""

    dataset: BoxedDataset
    maps: CachedMaps
    settings: FitSettings
    training: TrainSettings
    budget_s: float
    extract_s: float
    """Seconds that one picture takes from file to maps."""
    weights: Weights
    compute: Compute


@dataclass
class DetectionLadder:
    """The detector that is kept so far, the table and the clock; rungs challenge it.

    Args:
        inputs: data, settings and limits.
        watch: counts the seconds.
        book: measured costs of units of work.
        reporter: receives progress and notes.
        keep: called with each contender that is kept, so that a saved detector always exists.
    """

    inputs: DetectionInputs
    watch: Stopwatch
    book: CostBook
    reporter: Reporter
    keep: Callable[[Contender, LadderRecord], None]
    rows: list[RungRow] = field(default_factory=list)
    best: Contender | None = None
    curve: DetectionCurve | None = None
    """The grid's learning curve, once it is measured."""

    @property
    def record(self) -> LadderRecord:
        """The table so far."""
        return LadderRecord(budget_s=self.inputs.budget_s, rows=tuple(self.rows))

    @property
    def spec(self) -> InputSpec:
        """The network's input, as large as the canvas."""
        return self.inputs.maps.spec

    @cached_property
    def training_scenes(self) -> tuple[Scene, ...]:
        """The training pictures with their folds."""
        return self.inputs.dataset.scenes("train", self.spec)

    @cached_property
    def validation_scenes(self) -> tuple[Scene, ...]:
        """The validation pictures; empty if the data has none."""
        return self.inputs.dataset.scenes("validation", self.spec)

    def move_to(self, trial: DetectionLadder) -> None:
        """Go on with the maps of a trial on another canvas, and with what it computed from them."""
        self.inputs = trial.inputs
        for name in ("training_scenes", "validation_scenes", "projected", "projected_validation"):
            self.__dict__.pop(name, None)
            if name in trial.__dict__:
                self.__dict__[name] = trial.__dict__[name]

    @property
    def settled(self) -> Contender:
        """The contender that is kept, with its network and maps."""
        assert self.best is not None
        return replace(
            self.best,
            maps=self.best.maps or self.inputs.maps,
            weights=self.best.weights or self.inputs.weights,
        )

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.inputs.dataset.labels)

    @property
    def time_left_s(self) -> float:
        """Seconds of the budget that are left for rungs; those that the end takes are set aside."""
        tests = len(self.inputs.dataset.pictures("test"))
        end_s = tests * self.inputs.extract_s + _SCORING_S
        return self.inputs.budget_s - self.watch.elapsed_s - end_s

    @cached_property
    def projected(self) -> ProjectedMaps:
        """The training pictures' maps as principal components."""
        keys = [scene.key for scene in self.training_scenes]
        rows = self.inputs.maps.rows(keys, reporter=self.reporter)
        return ProjectedMaps(rows, fit_projection(self.inputs.maps.levels, rows, keys), keys)

    @cached_property
    def projected_validation(self) -> ProjectedMaps:
        """The validation pictures' maps in the same components."""
        keys = [scene.key for scene in self.validation_scenes]
        rows = self.inputs.maps.rows(keys, reporter=self.reporter)
        return ProjectedMaps(rows, self.projected.projection, keys)

    def challenge(
        self,
        contender: Contender,
        *,
        predicted_s: float | None,
        took_s: float,
        needed: float = SOLVED_AT,
        scale: float = SOLVED_SCALE,
    ) -> None:
        """Compare a contender with the one that is kept; it takes its place if it is probably better.

        Args:
            contender: the challenger.
            predicted_s: predicted seconds; None if there is no prediction.
            took_s: measured seconds.
            needed: the least probability of being better.
            scale: prior standard deviation of the difference in mean average precision.
        """
        seed = self.inputs.dataset.seed
        verdict, is_kept = "the first usable detector", True
        if self.best is not None:
            result = compared(contender, self.best, self.classes, seed=seed)
            chance = chance_better(result, scale)
            is_kept = chance > needed
            verdict = (
                f"mean average precision {result.first:.3f} instead of {result.second:.3f} on "
                f"{result.images:,} pictures: better with probability {100 * chance:.0f} %"
            )
        estimate = map50_estimate(contender.matches(self.classes), seed=seed)
        self.best = contender if is_kept else self.best
        self.tell(
            contender.name,
            verdict,
            estimate=estimate,
            images=len(contender.scenes),
            predicted_s=predicted_s,
            took_s=took_s,
            is_kept=is_kept,
        )
        if is_kept:
            self.keep(self.settled, self.record)

    def evaluated_again(self, scenes: tuple[Scene, ...], found: tuple[Found, ...], method: str) -> None:
        """Evaluate the detector that is kept on other pictures, from which its row of the table is then."""
        assert self.best is not None
        self.best = replace(self.best, scenes=scenes, found=found, method=method)
        estimate = map50_estimate(self.best.matches(self.classes), seed=self.inputs.dataset.seed)
        place = max(number for number, row in enumerate(self.rows) if row.name == self.best.name)
        update = {"accuracy": estimate, "images": len(scenes)}
        self.rows[place] = self.rows[place].model_copy(update=update)
        if estimate is not None:
            share = f"{100 * estimate.value:.1f} %"
            self.reporter.note(f"{self.best.name}: AP50 {share} on {len(scenes):,} {method}")

    def skip(self, name: str, predicted_s: float) -> None:
        """Record that a rung was not tried because the time is too short."""
        left = max(0.0, self.time_left_s)
        why = f"not tried: predicted {predicted_s:.0f} s, {left:.0f} s left of the budget"
        self.tell(name, why, predicted_s=predicted_s)

    def tell(
        self,
        name: str,
        verdict: str,
        *,
        estimate: Estimate | None = None,
        images: int = 0,
        predicted_s: float | None = None,
        took_s: float | None = None,
        is_kept: bool = False,
    ) -> None:
        """Add a line to the table, and report it."""
        number = 1 + max((row.rung for row in self.rows), default=0)
        row = RungRow(
            rung=number,
            name=name,
            accuracy=estimate,
            measure=MEASURE,
            images=images,
            predicted_s=None if predicted_s is None else round(predicted_s, 1),
            took_s=None if took_s is None else round(took_s, 1),
            elapsed_s=round(self.watch.elapsed_s, 1),
            is_kept=is_kept,
            verdict=verdict,
        )
        self.rows.append(row)
        share = "" if estimate is None else f": AP50 {100 * estimate.value:.1f} %"
        self.reporter.note(f"rung {number}, {name}{share} ({verdict}{', kept' if is_kept else ''})")

    def judged(
        self, out_of_fold: Callable[[], Sequence[Found]], held_out: Callable[[], Sequence[Found]]
    ) -> tuple[tuple[Scene, ...], tuple[Found, ...], str]:
        """The pictures that a solved detector is evaluated on, what it found there, and how, in words."""
        if self.validation_scenes:
            return self.validation_scenes, tuple(held_out()), VALIDATION
        return self.training_scenes, tuple(out_of_fold()), cross_validation(self)


def cross_validation(ladder: DetectionLadder) -> str:
    """How a solved detector is evaluated on the training pictures, in words."""
    return f"{1 + max(scene.fold for scene in ladder.training_scenes)}-fold cross-validation"
