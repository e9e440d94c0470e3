"""Several labels an image: each of K labels is present, absent, or not known.

In a table, the labels of an image are in one cell, `cat|rain`, where everything that is not named is absent
and an empty cell names none; or they have a column each, with 1, 0, or nothing for unknown. Both become the
same canonical text: the present labels, sorted and joined by `|`, then the unknown ones, each after a
question mark: `cat|rain|?snow`. Unknown entries are part of no loss, no threshold and no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from regraft.errors import DataError
from regraft.evaluation.intervals.groups import group_numbers, number_of_groups
from regraft.evaluation.resampling import bootstrap_counts, number_of_draws, percentile_interval
from regraft.evaluation.thresholds import f1_thresholds
from regraft.records import Label, Link, Record
from regraft.tasks.groups import group_measure, group_score
from regraft.tasks.multilabel_scores import MultilabelScores, image_losses, score
from regraft.tasks.task import Answer, Floats, Measure, column_of

SEPARATOR, UNKNOWN = "|", "?"
_PRESENT, _ABSENT = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false"})
_MEASURES = ("macro_average_precision", "macro_auroc", "macro_f1", "micro_f1", "brier_score")
_LABEL_MEASURES = ("average_precision", "auroc", "precision", "recall", "f1")


class Multilabel(Record):
    """Any number of K labels for each image; outputs are a probability for each label.

    Targets are `(N, K) float32`: 1 present, 0 absent, NaN unknown.

    Goodness is 1 minus the mean squared error of the probabilities over an image's known labels (Brier 1950).
    It is proper: no probability scores better than the true one, and it needs no threshold. The share of
    right labels does not serve: at thresholds that find rare labels it is lower than that of a model that
    never predicts any. The log-loss is proper too, but a single confident mistake would outweigh all other
    images in a comparison. What a label contributes grows with its variance, so rare labels count little
    here; average precision and AUROC of each label show them.

    >>> task = Multilabel.of(["cat|rain", "", "cat|?rain"])
    >>> task.outputs
    ('cat', 'rain')
    >>> task.targets(["cat|?rain", ""]).tolist()
    [[1.0, nan], [0.0, 0.0]]
    >>> task.answer(np.array([0.25, 0.75])).text
    'rain'
    """

    link: ClassVar[Link] = "sigmoid"
    baseline_name: ClassVar[str] = "share of each label"
    baseline_method: ClassVar[str] = "always the share of the training images that have each label"
    name: Literal["multilabel"] = "multilabel"
    outputs: Annotated[tuple[Label, ...], Field(min_length=1, max_length=100_000)]
    thresholds: tuple[float, ...] = ()
    """From which probability on each label is predicted; empty means 0.5 for all."""

    @classmethod
    def of(cls, labels: Sequence[str]) -> Self:
        """All labels that are present in some image, sorted by name.

        Raises:
            DataError: no image has a label.
        """
        names = {part for label in labels for part in _parts(label) if not part.startswith(UNKNOWN)}
        if not names:
            raise DataError(
                f"none of the {len(labels):,} images has a label; write the labels of an image as "
                f"a{SEPARATOR}b"
            )
        return cls(outputs=tuple(sorted(names)))

    @staticmethod
    def read(cell: str) -> str:
        """The labels of a cell such as `rain | cat`: without blanks around names, sorted, each once.

        Raises:
            DataError: a name begins with a question mark, which marks unknown labels.

        >>> Multilabel.read(" rain| cat||rain"), Multilabel.read(" ")
        ('cat|rain', '')
        """
        names = {part.strip() for part in cell.split(SEPARATOR)} - {""}
        if wrong := sorted(name for name in names if name.startswith(UNKNOWN)):
            raise DataError(
                f"the label {wrong[0]!r} begins with {UNKNOWN}, which marks unknown labels; rename it, or, "
                "if it is unknown, use a column for each label and leave its cell empty"
            )
        return SEPARATOR.join(sorted(names))

    def targets(self, labels: Sequence[str]) -> npt.NDArray[np.float32]:
        """Presence of each label, `(N, K) float32`; labels that are not among the outputs are left out."""
        place = {label: number for number, label in enumerate(self.outputs)}
        found = np.zeros((len(labels), len(self.outputs)), dtype=np.float32)
        for row, label in enumerate(labels):
            for part in _parts(label):
                column = place.get(part.removeprefix(UNKNOWN))
                if column is not None:
                    found[row, column] = np.nan if part.startswith(UNKNOWN) else 1
        return found

    @staticmethod
    def strata(targets: Floats) -> npt.NDArray[np.bool_]:
        """The labels, and as a last stratum the images that have none of them; `(N, K + 1) bool`."""
        present = targets > 0
        return np.concatenate([present, ~present.any(axis=1, keepdims=True)], axis=1)

    @property
    def summary(self) -> str:
        """What is predicted, in two words."""
        return f"{len(self.outputs)} labels"

    def kinds(self, labels: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The labels that each image is known to have."""
        return self.outputs, [
            tuple(part for part in _parts(label) if not part.startswith(UNKNOWN)) for label in labels
        ]

    def score(
        self,
        outputs: Floats,
        targets: Floats,
        *,
        method: str,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> MultilabelScores:
        """AUROC, average precision and F1 of each label and on average, and the Brier score."""
        own = group_numbers(groups)
        found = score(outputs, targets, self.outputs, self.limits, method=method, groups=own, seed=seed)
        return found.model_copy(update={"by_group": group_score(self, outputs, targets, groups)})

    @staticmethod
    def measures(scores: MultilabelScores) -> tuple[Measure, ...]:
        """The averages over labels, then the scores of each."""
        together = [
            Measure.of(name, getattr(scores, name), scores.images, is_share=name != "brier_score")
            for name in _MEASURES
        ]
        each = []
        for one in scores.labels:
            for name in _LABEL_MEASURES:
                value = getattr(one, name)
                if isinstance(value, float):
                    each.append(Measure(name, value, images=one.images, output=one.label))
                else:
                    each.append(Measure.of(name, value, one.images, output=one.label))
        return (*together, *group_measure(scores.by_group, is_share=False), *each)

    def goodness(self, outputs: Floats, targets: Floats) -> npt.NDArray[np.float64]:
        """1 minus the mean squared error of each image's known labels, `(N,) float64`.

        An image of which nothing is known has a goodness of 1 under every model, so it favours none.
        """
        result: npt.NDArray[np.float64] = 1 - image_losses(outputs, targets)
        return result

    def span(self, targets: Floats) -> float:
        """The Brier score of the baseline: what a perfect model is better by."""
        return max(1 - float(self.goodness(self.baseline(targets, len(targets)), targets).mean()), 1e-12)

    def merit(
        self,
        goodness: Floats,
        *,
        targets: Floats | None = None,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Measure:
        """The Brier score, which is smaller for better models, with a bootstrap interval."""
        del targets
        loss, own, count = 1 - goodness, group_numbers(groups), len(goodness)
        draws = [
            counts @ loss / counts.sum(axis=1)
            for counts in bootstrap_counts(count, draws=number_of_draws(count), seed=seed, groups=own)
        ]
        estimate = percentile_interval(float(loss.mean()), np.concatenate(draws), number_of_groups(own))
        return Measure.of("brier_score", estimate, count, is_share=False)

    def baseline(self, targets: Floats, count: int) -> npt.NDArray[np.float64]:
        """The share of known training images that have each label, smoothed by one; `(count, K)`.

        All rows are the same numbers in memory, which can't be written to.
        """
        is_known = ~np.isnan(targets)
        shares = ((targets > 0).sum(axis=0) + 1.0) / (is_known.sum(axis=0) + 2.0)
        return np.broadcast_to(shares, (count, len(shares)))

    def decided(self, outputs: Floats, targets: Floats, groups: Sequence[str] | None = None) -> Self:
        """This task with the thresholds that maximise the F1 of each label on these predictions."""
        del groups
        return self.model_copy(update={"thresholds": tuple(f1_thresholds(outputs, targets).tolist())})

    @property
    def limits(self) -> npt.NDArray[np.float64]:
        """The probability from which on each label is predicted, `(K,)`."""
        return np.array(self.thresholds or [0.5] * len(self.outputs))

    def answer(self, output: Floats, *, top: int = 1) -> Answer:
        """The labels that reach their thresholds, the probability of each label, and the `top` of them."""
        present = [name for name, is_in in zip(self.outputs, output >= self.limits, strict=True) if is_in]
        order = np.argsort(-output, kind="stable")[:top]
        text = SEPARATOR.join(sorted(present))
        best = [[self.outputs[place], float(output[place])] for place in order.tolist()]
        facts: dict[str, Any] = {"labels": present, "top": best}
        return Answer(text, {"labels": text, **self._chances(output)}, facts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The predicted labels, then the probability of each label, however many there are."""
        return ("predicted", *map(column_of, self.outputs))

    def row(self, output: Floats) -> tuple[str, ...]:
        """The cells of `columns`."""
        return (self.answer(output).text, *self._chances(output).values())

    def _chances(self, output: Floats) -> dict[str, str]:
        return {column_of(name): f"{chance:.6f}" for name, chance in zip(self.outputs, output, strict=True)}

    def goodness_of(self, row: Mapping[str, str]) -> float:
        """The goodness of a row of `predictions.csv`, from its label and its probabilities."""
        output = np.array([[float(row[column_of(name)]) for name in self.outputs]])
        return float(self.goodness(output, self.targets([row["label"]]))[0])


def from_columns(names: Sequence[str], cells: Sequence[str | None]) -> str:
    """The canonical label of a table's row with a column for each label: 1 present, 0 absent, empty unknown.

    Args:
        names: the names of the labels.
        cells: the cell of each; true and false are accepted too.

    Raises:
        DataError: a name can't be a label, a cell holds something else, or all cells are empty.

    >>> from_columns(["snow", "cat", "rain"], ["", "1", "0"])
    'cat|?snow'
    """
    present, unknown = [], []
    for name, cell in zip(names, cells, strict=True):
        if SEPARATOR in name or name.startswith(UNKNOWN):
            raise DataError(
                f"the column {name!r} can't be a label, because its name begins with {UNKNOWN} or contains "
                f"{SEPARATOR}; rename it"
            )
        text = (cell or "").strip().casefold()
        if not text:
            unknown.append(name)
        elif text in _PRESENT:
            present.append(name)
        elif text not in _ABSENT:
            raise DataError(
                f"{name} is {cell!r}; accepted are 1 (present), 0 (absent) and an empty cell (unknown)"
            )
    if len(unknown) == len(names):
        raise DataError(f"none of its {len(names)} labels is known")
    return SEPARATOR.join([*sorted(present), *(UNKNOWN + name for name in sorted(unknown))])


def _parts(label: str) -> list[str]:
    return label.split(SEPARATOR) if label else []
