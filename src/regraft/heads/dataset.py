"""A labelled data set with its features: which images train or evaluate, and how predictions are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.data.findings.image_set import Images
from regraft.data.splits import fold_numbers
from regraft.errors import DataError
from regraft.evaluation.scores import majority, score
from regraft.features.extraction import Features
from regraft.heads.head import Head
from regraft.heads.rows import TrainingRows
from regraft.records import Scores, Side, Split
from regraft.tasks.score_sheet import ScoreSheet
from regraft.tasks.task import Task

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """Scores, and the predictions from which they were computed."""

    sheet: ScoreSheet
    probabilities: Floats
    judged: tuple[int, ...]
    """Rows of the split to which the probabilities belong."""


@dataclass(frozen=True)
class Predicted:
    """Predicted probabilities for some rows of the split."""

    rows: tuple[int, ...]
    probabilities: Floats
    """Probabilities of the K classes, `(len(rows), K)`."""
    method: str
    """How the predictions were made, for example `5-fold cross-validation`."""


@dataclass(frozen=True)
class Said:
    """The predictions of one voter for images that it was not trained on."""

    validation: Predicted | None
    test: Predicted | None


def on_average(votes: Sequence[Predicted]) -> Predicted:
    """The voters' mean probabilities, on the rows that all of them predicted; the method is the first's."""
    shared = set(votes[0].rows).intersection(*(vote.rows for vote in votes[1:]))
    rows = tuple(row for row in votes[0].rows if row in shared)
    return Predicted(
        rows, np.mean([on_rows(vote, rows).probabilities for vote in votes], axis=0), votes[0].method
    )


def on_rows(judged: Predicted, rows: tuple[int, ...]) -> Predicted:
    """The predictions for the given rows alone, in the order of `rows`."""
    if rows == judged.rows:
        return judged
    place = {row: number for number, row in enumerate(judged.rows)}
    return Predicted(rows, judged.probabilities[[place[row] for row in rows]], judged.method)


@dataclass(frozen=True)
class Job:
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
        return [
            number
            for number, row in enumerate(self.split.rows)
            if row.side in sides and row.sha256 in self.features.rows
        ]

    def keys(self, rows: Sequence[int]) -> list[str]:
        """The SHA-256 of each row's image."""
        return [self.split.rows[row].sha256 for row in rows]

    def truth(self, rows: Sequence[int]) -> Ints:
        """The true class numbers, `(len(rows),)`."""
        place = {label: number for number, label in enumerate(self.images.labels)}
        return np.array([place[self.split.rows[row].label] for row in rows], dtype=np.int64)

    def training_rows(self, rows: Sequence[int] | None = None) -> TrainingRows:
        """The data that heads are fitted on: the training side, or the given rows of it.

        Raises:
            DataError: the rows contain fewer than two classes.
        """
        rows = self.rows("train") if rows is None else rows
        truth = self.truth(rows)
        if (count := len(np.unique(truth))) < 2:
            raise DataError(
                f"the training set contains {f'only {count} class' if count else 'no images'}; at least 2 "
                "classes are needed. Add images, or lower --test-share"
            )
        return TrainingRows(
            self.features,
            tuple(self.keys(rows)),
            truth,
            tuple(self.split.rows[row].group for row in rows),
            len(self.images.labels),
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
        number = fold_numbers(self.truth(train), groups, folds=folds, seed=self.seed)
        sizes = np.bincount(number, minlength=folds)
        fold = int(np.flatnonzero(2 * sizes <= len(train))[0])  # of two or more folds one is that small
        kept = [row for row, one in zip(train, number, strict=True) if one != fold]
        held = [row for row, one in zip(train, number, strict=True) if one == fold]
        is_known = np.isin(self.truth(held), self.truth(kept))
        if 2 * is_known.sum() < len(
            held
        ):  # classes that are one group each: they would be validated untrained
            return train, [], "none"
        return kept, held, "held-out training images, which also chose the epoch"

    def predicted(self, head: Head, rows: Sequence[int], method: str) -> Predicted:
        """The predictions of a head for the given rows, from this job's features."""
        keys, columns = self.keys(rows), head.record.columns
        parts = [
            head.probabilities(self.features.matrix(keys[start : start + 4096], columns))
            for start in range(0, len(keys), 4096)
        ]
        return Predicted(tuple(rows), np.concatenate(parts), method)

    def judge_voters(self, voters: Sequence[Said]) -> Judgement:
        """Evaluate the voters' mean probabilities."""
        validation = [one.validation for one in voters if one.validation is not None]
        test = [one.test for one in voters if one.test is not None]
        return self.judge(on_average(validation) if validation else None, on_average(test) if test else None)

    def judge(self, validation: Predicted | None, test: Predicted | None) -> Judgement:
        """Evaluate predictions on both sides, and the trivial baseline on the test side (else validation)."""
        labels = self.images.labels

        def scored(one: Predicted) -> Scores:
            truth = self.truth(one.rows)
            return score(one.probabilities, truth, labels, method=one.method, seed=self.seed)

        best = test or validation
        assert best is not None
        trivial = majority(self.truth(self.rows("train")), len(best.rows), len(labels))
        baseline = Predicted(best.rows, trivial, "always the most frequent training class")
        sheet = ScoreSheet(
            test=scored(test) if test else None,
            validation=scored(validation) if validation else None,
            baseline=scored(baseline),
        )
        return Judgement(sheet, best.probabilities, best.rows)
