"""A labelled data set with its features: which images train or evaluate, and how predictions are scored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.data.findings.image_set import Images
from regraft.data.splits import fold_numbers
from regraft.errors import DataError
from regraft.features.extraction import Features
from regraft.heads.head import Head
from regraft.heads.rows import TrainingRows, outputs_of_keys
from regraft.records import Side, Split
from regraft.tasks.score_sheet import AnyScores, ScoreSheet
from regraft.tasks.task import Task

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class Outputs:
    """A model's outputs for some rows of the split: for classes, probabilities."""

    rows: tuple[int, ...]
    values: Floats
    """`(len(rows), K)`, in double precision unless they are many; see `rows.by_blocks`."""
    method: str
    """How the predictions were made, for example `5-fold cross-validation`."""


@dataclass(frozen=True)
class Evaluation:
    """Scores, and the outputs from which they were computed."""

    sheet: ScoreSheet
    task: Task
    """The task, with what was decided on predictions for images that the model did not see."""
    outputs: Outputs
    """The outputs for the test side, or else for the validation side."""


@dataclass(frozen=True)
class Unseen:
    """The outputs of one voter for images that it was not trained on."""

    validation: Outputs | None
    test: Outputs | None


def on_average(votes: Sequence[Outputs]) -> Outputs:
    """The voters' mean outputs, on the rows that all of them predicted; the method is the first's."""
    shared = set(votes[0].rows).intersection(*(vote.rows for vote in votes[1:]))
    rows = tuple(row for row in votes[0].rows if row in shared)
    if len(votes) == 1:
        return votes[0]
    total = on_rows(votes[0], rows).values + on_rows(votes[1], rows).values
    for vote in votes[2:]:
        total += on_rows(vote, rows).values
    total /= len(votes)
    return Outputs(rows, total, votes[0].method)


def on_rows(outputs: Outputs, rows: tuple[int, ...]) -> Outputs:
    """The outputs for the given rows alone, in the order of `rows`."""
    if rows == outputs.rows:
        return outputs
    place = {row: number for number, row in enumerate(outputs.rows)}
    return Outputs(rows, outputs.values[[place[row] for row in rows]], outputs.method)


@dataclass(frozen=True)
class Dataset:
    """The images, split and features that every strategy uses."""

    images: Images
    split: Split
    features: Features
    seed: int

    @property
    def task(self) -> Task:
        """What the labels mean."""
        assert self.images.task is not None
        return self.images.task

    def rows(self, *sides: Side) -> list[int]:
        """Numbers of the split's rows on the given sides whose images could be used."""
        wanted = [self._usable[side] for side in sides if side in self._usable]
        return wanted[0].copy() if len(wanted) == 1 else sorted(itertools.chain(*wanted))

    @cached_property
    def _usable(self) -> dict[Side, list[int]]:
        """The numbers of the rows of each side whose images could be used."""
        numbers: dict[Side, list[int]] = {}
        for number, row in enumerate(self.split.rows):
            if row.sha256 in self.features.rows:
                numbers.setdefault(row.side, []).append(number)
        return numbers

    def keys(self, rows: Sequence[int]) -> list[str]:
        """The SHA-256 of each row's image."""
        return [self.split.rows[row].sha256 for row in rows]

    def truth(self, rows: Sequence[int]) -> npt.NDArray[Any]:
        """The true labels as numbers: for classes, their numbers `(len(rows),)`."""
        return self.task.targets([self.split.rows[row].label for row in rows])

    def groups(self, rows: Sequence[int]) -> list[str]:
        """The group of each row."""
        return [self.split.rows[row].group for row in rows]

    def training_rows(self, rows: Sequence[int] | None = None) -> TrainingRows:
        """The data that heads are fitted on: the training side, or the given rows of it.

        Raises:
            DataError: the rows contain fewer than two classes, or fewer than two different numbers.
        """
        rows = self.rows("train") if rows is None else rows
        truth = self.truth(rows)
        if not len(truth) or (truth.ndim == 1 and len(np.unique(truth)) < 2):
            one, many = ("class", "classes") if self.task.link == "softmax" else ("number", "numbers")
            raise DataError(
                f"the training set contains {f'only 1 {one}' if len(truth) else 'no images'}; at least 2 "
                f"{many} are needed. Add images, or lower --test-share"
            )
        return TrainingRows(
            self.features,
            tuple(self.keys(rows)),
            truth,
            tuple(self.split.rows[row].group for row in rows),
            self.task,
            self.seed,
        )

    def held_out(self, share: float) -> tuple[list[int], list[int], str]:
        """`(rows to train on, rows to validate on, how they were chosen)`.

        Validation uses the official validation side if there is one. Otherwise about `share` of the training
        images are held out, stratified by class, with whole groups of look-alikes; a share of 0 holds out
        none. A group that would hold out more than half of the images stays on the training side, and
        nothing is held out if most of it would be of classes that are then not trained.
        """
        train, validation = self.rows("train"), self.rows("validation")
        if validation:
            return train, validation, "validation images of the official split, which also chose the epoch"
        groups = [self.split.rows[row].group for row in train]
        folds = min(len(set(groups)), round(1 / share) if share else 0)
        if folds < 2:
            return train, [], "none"
        number = fold_numbers(self.task.strata(self.truth(train)), groups, folds=folds, seed=self.seed)
        sizes = np.bincount(number, minlength=folds)
        fold = int(np.flatnonzero(2 * sizes <= len(train))[0])  # of two or more folds one is that small
        kept = [row for row, one in zip(train, number, strict=True) if one != fold]
        held = [row for row, one in zip(train, number, strict=True) if one == fold]
        if self.task.link != "softmax":
            return kept, held, "held-out training images, which also chose the epoch"
        is_known = np.isin(self.truth(held), self.truth(kept))
        if 2 * is_known.sum() < len(
            held
        ):  # classes that are one group each: they would be validated untrained
            return train, [], "none"
        return kept, held, "held-out training images, which also chose the epoch"

    def predicted(self, head: Head, rows: Sequence[int], method: str) -> Outputs:
        """The predictions of a head for the given rows, from this data set's features."""
        return Outputs(tuple(rows), self._computed(head.probabilities, head, rows), method)

    def scores(self, head: Head, rows: Sequence[int]) -> Floats:
        """The uncalibrated scores `(len(rows), K)` of a head, from this data set's features."""
        return self._computed(head.scores, head, rows)

    def _computed(
        self, outputs_of: Callable[[npt.NDArray[np.float32]], Floats], head: Head, rows: Sequence[int]
    ) -> Floats:
        columns = head.record.columns
        return outputs_of_keys(lambda keys: outputs_of(self.features.matrix(keys, columns)), self.keys(rows))

    def evaluate_voters(self, voters: Sequence[Unseen]) -> Evaluation:
        """Evaluate the voters' mean outputs."""
        validation = [one.validation for one in voters if one.validation is not None]
        test = [one.test for one in voters if one.test is not None]
        return self.evaluate(
            on_average(validation) if validation else None, on_average(test) if test else None
        )

    def evaluate(self, validation: Outputs | None, test: Outputs | None) -> Evaluation:
        """Evaluate predictions on both sides, and the trivial baseline on the test side (else validation).

        What depends on predictions for images that the model did not see, such as thresholds, is decided on
        the validation side, before the test side is looked at.
        """
        task = self.task
        if validation is not None:
            rows = validation.rows
            task = task.decided(validation.values, self.truth(rows), self.groups(rows))

        def scored(one: Outputs) -> AnyScores:
            scores: AnyScores = task.score(
                one.values,
                self.truth(one.rows),
                method=one.method,
                groups=self.groups(one.rows),
                seed=self.seed,
            )
            return scores

        best = test or validation
        assert best is not None
        sheet = ScoreSheet(
            test=scored(test) if test else None,
            validation=scored(validation) if validation else None,
            baseline=self._trivial(best.rows),
        )
        return Evaluation(sheet, task, best)

    def _trivial(self, rows: tuple[int, ...]) -> AnyScores:
        """The scores of the trivial model, which also makes its choices, such as thresholds, by itself."""
        train = self.rows("train")
        truth = self.truth(train)
        own = self.task.baseline(truth, len(train))
        task = self.task.decided(own, truth, self.groups(train))
        scores: AnyScores = task.score(
            task.baseline(truth, len(rows)),
            self.truth(rows),
            method=task.baseline_method,
            groups=self.groups(rows),
            seed=self.seed,
        )
        return scores
