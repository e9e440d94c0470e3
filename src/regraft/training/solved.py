"""Carrying out a plan whose head is solved, not trained: candidates, fit, evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.errors import DataError, NetworkError
from regraft.evaluation.scores import majority, score
from regraft.features.extraction import Features
from regraft.features.fitting import fit_head
from regraft.features.training_rows import Candidate, FittedHead, TrainingRows, describe
from regraft.networks.cuts import cut_count
from regraft.progress import Reporter
from regraft.records import Column, HeadKind, Images, Plan, Scores, ScoreSheet, Side, Split, Statistic
from regraft.settings import FitSettings

Ints = npt.NDArray[np.int64]


def make_plan(settings: FitSettings, layout: Sequence[Column], *, network: str, runtime: str) -> Plan:
    """Settings and a network's layout made concrete: which stages, which statistics, which head.

    Raises:
        NetworkError: the cut is no place in this network.
    """
    stages = list(dict.fromkeys(column.stage for column in layout))
    strategy, cut = settings.strategy, settings.cut
    head: HeadKind = settings.head or ("logistic" if strategy == "probe" else "rbf-svm")
    if cut is not None:
        count = cut_count(stages, cut)
        if count == 0:
            raise NetworkError(f"a cut at {cut} leaves no stage to read; the first is {stages[0]}")
        stages = stages[count - 1 :] if strategy == "many-stages" else stages[count - 1 : count]
    elif strategy == "probe":
        stages = stages[-1:]
    return Plan(
        network=network,
        strategy=strategy,
        head=head,
        stages=tuple(stages),
        statistics=_statistics(settings, layout, stages),
        runtime=runtime,
        precision=settings.precision,
        seed=settings.seed,
    )


def _statistics(
    settings: FitSettings, layout: Sequence[Column], stages: Sequence[str]
) -> tuple[Statistic, ...]:
    """A probe reads what the network's own classifier would; the other strategies read everything."""
    known = [column.statistic for column in layout if column.stage in stages]
    if settings.strategy == "probe":
        return ("token",) if "token" in known else ("mean",)
    return tuple(dict.fromkeys(known))


@dataclass(frozen=True)
class Judgement:
    """Scores, and the predictions that they were computed from."""

    sheet: ScoreSheet
    probabilities: npt.NDArray[np.float64]
    judged: tuple[int, ...]
    """Rows of the split that the probabilities are for."""


@dataclass(frozen=True)
class SolvedJob:
    """One data set with its features: what plan, head and scores are made from."""

    images: Images
    split: Split
    features: Features
    settings: FitSettings

    def _candidates(self, plan: Plan) -> list[Candidate]:
        """What the head may read, smallest first, for cross-validation to choose from."""

        def columns(stages: Sequence[str]) -> tuple[Column, ...]:
            return tuple(
                c for c in self.features.layout if c.stage in stages and c.statistic in plan.statistics
            )

        if plan.strategy != "many-stages" or self.settings.cut is not None:
            groups = [plan.stages] if plan.strategy == "many-stages" else [(stage,) for stage in plan.stages]
            return [columns(group) for group in groups]
        total = len(plan.stages)
        sizes = sorted({1, math.ceil(total / 3), math.ceil(2 * total / 3), total})
        return [columns(plan.stages[-size:]) for size in sizes]

    def _rows(self, *sides: Side) -> list[int]:
        return [
            number
            for number, row in enumerate(self.split.rows)
            if row.side in sides and row.sha256 in self.features.rows
        ]

    def _truth(self, rows: Sequence[int]) -> Ints:
        place = {label: number for number, label in enumerate(self.images.labels)}
        return np.array([place[self.split.rows[row].label] for row in rows], dtype=np.int64)

    def _training(self) -> TrainingRows:
        rows = self._rows("train")
        truth = self._truth(rows)
        if len(np.unique(truth)) < 2:
            raise DataError(
                f"the training side holds images of {len(np.unique(truth))} class; at least two are needed. "
                "Add images, or lower --test-share"
            )
        return TrainingRows(
            self.features,
            tuple(self.split.rows[row].sha256 for row in rows),
            truth,
            tuple(self.split.rows[row].group for row in rows),
            len(self.images.labels),
            self.settings.seed,
        )

    def fit_head(self, plan: Plan, reporter: Reporter) -> FittedHead:
        """The head of a plan, fitted on the training side."""
        candidates = self._candidates(plan)
        with reporter.phase(f"solving the {plan.head} head", 1, "heads") as meter:
            fitted = fit_head(self._training(), plan.head, candidates)
            meter.advance()
        if len(fitted.trials) > 1:
            listed = ", ".join(f"{name} {accuracy:.1%}" for name, accuracy in fitted.trials)
            what = "stages" if plan.strategy == "many-stages" else "stage"
            reason = f"cross-validated accuracy was {listed}"
            reporter.decided(f"{what} {describe(fitted.head.record.columns)}", reason, "--cut")
        return fitted

    def _probabilities(self, fitted: FittedHead, rows: Sequence[int]) -> npt.NDArray[np.float64]:
        keys = [self.split.rows[row].sha256 for row in rows]
        columns = fitted.head.record.columns
        parts = [
            fitted.head.probabilities(self.features.matrix(keys[start : start + 4096], columns))
            for start in range(0, len(keys), 4096)
        ]
        return np.concatenate(parts)

    def evaluate(self, fitted: FittedHead) -> Judgement:
        """Scores on the test side, the validation side (or by cross-validation), and the trivial baseline."""
        labels, seed = self.images.labels, self.settings.seed
        train, held, test = self._rows("train"), self._rows("validation"), self._rows("test")

        def scored(probabilities: npt.NDArray[np.float64], rows: Sequence[int], method: str) -> Scores:
            return score(probabilities, self._truth(rows), labels, method=method, seed=seed)

        if held:
            checked, probabilities = held, self._probabilities(fitted, held)
            method = "validation images of the official split"
        else:
            checked, probabilities = train, fitted.out_of_fold
            method = (
                f"{fitted.folds}-fold cross-validation on the training images, which also chose the settings"
            )
        validation = scored(probabilities, checked, method)
        tested = None
        if test:
            checked, probabilities = test, self._probabilities(fitted, test)
            tested = scored(probabilities, checked, "held-out test images")
        trivial = majority(self._truth(train), len(checked), len(labels))
        baseline = scored(trivial, checked, "always the most frequent training class")
        sheet = ScoreSheet(test=tested, validation=validation, baseline=baseline)
        return Judgement(sheet, probabilities, tuple(checked))
