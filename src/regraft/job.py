"""One data set with its features: who trains, who judges, and how good predictions are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.data.splits import fold_numbers
from regraft.errors import DataError
from regraft.evaluation.scores import majority, score
from regraft.features.extraction import Features
from regraft.features.heads import Head
from regraft.features.training_rows import TrainingRows
from regraft.records import Images, Scores, ScoreSheet, Side, Split

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """Scores, and the predictions that they were computed from."""

    sheet: ScoreSheet
    probabilities: Floats
    judged: tuple[int, ...]
    """Rows of the split that the probabilities are for."""


@dataclass(frozen=True)
class Predicted:
    """Probabilities of some rows of the split."""

    rows: tuple[int, ...]
    probabilities: Floats
    """`(len(rows), K)`."""
    method: str
    """How they were made, in words."""


@dataclass(frozen=True)
class Said:
    """What one voter says of the images that it did not learn from."""

    validation: Predicted | None
    test: Predicted | None


def on_average(votes: Sequence[Predicted]) -> Predicted:
    """Voters' mean probabilities, on the rows that all of them judged; the method is the first's."""
    shared = set(votes[0].rows).intersection(*(vote.rows for vote in votes[1:]))
    rows = tuple(row for row in votes[0].rows if row in shared)
    return Predicted(
        rows, np.mean([on_rows(vote, rows).probabilities for vote in votes], axis=0), votes[0].method
    )


def on_rows(judged: Predicted, rows: tuple[int, ...]) -> Predicted:
    """The part of some predictions that is about these rows, in their order."""
    if rows == judged.rows:
        return judged
    place = {row: number for number, row in enumerate(judged.rows)}
    return Predicted(rows, judged.probabilities[[place[row] for row in rows]], judged.method)


@dataclass(frozen=True)
class Job:
    """What every strategy works on."""

    images: Images
    split: Split
    features: Features
    seed: int

    def rows(self, *sides: Side) -> list[int]:
        """Rows of the split on those sides whose images could be used."""
        return [
            number
            for number, row in enumerate(self.split.rows)
            if row.side in sides and row.sha256 in self.features.rows
        ]

    def keys(self, rows: Sequence[int]) -> list[str]:
        """The images' hashes."""
        return [self.split.rows[row].sha256 for row in rows]

    def truth(self, rows: Sequence[int]) -> Ints:
        """`(len(rows),)` class numbers."""
        place = {label: number for number, label in enumerate(self.images.labels)}
        return np.array([place[self.split.rows[row].label] for row in rows], dtype=np.int64)

    def training_rows(self, rows: Sequence[int] | None = None) -> TrainingRows:
        """What heads are fitted on: the training side, or some rows of it.

        Raises:
            DataError: fewer than two classes.
        """
        rows = self.rows("train") if rows is None else rows
        truth = self.truth(rows)
        if len(np.unique(truth)) < 2:
            raise DataError(
                f"the training side holds images of {len(np.unique(truth))} class; at least two are needed. "
                "Add images, or lower --test-share"
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

        The official validation side where there is one; else about `share` of the training images, whole
        groups of look-alikes, stratified; with a share of 0 none.
        """
        train, validation = self.rows("train"), self.rows("validation")
        if validation:
            return train, validation, "validation images of the official split, which chose the epoch"
        groups = [self.split.rows[row].group for row in train]
        folds = min(len(set(groups)), round(1 / share) if share else 0)
        if folds < 2:
            return train, [], "none"
        number = fold_numbers(self.truth(train), groups, folds=folds, seed=self.seed)
        kept = [row for row, fold in zip(train, number, strict=True) if fold]
        held = [row for row, fold in zip(train, number, strict=True) if not fold]
        return kept, held, "training images held out, which chose the epoch"

    def predicted(self, head: Head, rows: Sequence[int], method: str) -> Predicted:
        """What a head says of some rows, by this job's features."""
        keys, columns = self.keys(rows), head.record.columns
        parts = [
            head.probabilities(self.features.matrix(keys[start : start + 4096], columns))
            for start in range(0, len(keys), 4096)
        ]
        return Predicted(tuple(rows), np.concatenate(parts), method)

    def judge_voters(self, voters: Sequence[Said]) -> Judgement:
        """Scores of the voters' mean probabilities."""
        validation = [one.validation for one in voters if one.validation is not None]
        test = [one.test for one in voters if one.test is not None]
        return self.judge(on_average(validation) if validation else None, on_average(test) if test else None)

    def judge(self, validation: Predicted | None, test: Predicted | None) -> Judgement:
        """Scores of both sides, and of the trivial baseline beside the better of them."""
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
