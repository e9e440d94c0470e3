"""Classification: each image has exactly one of K classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from regraft.errors import DataError
from regraft.evaluation.intervals.groups import group_numbers
from regraft.evaluation.intervals.shares import share_estimate
from regraft.evaluation.scores import majority, score
from regraft.records import Labels, Link, Record, Scores
from regraft.tasks.groups import group_measure, group_score
from regraft.tasks.task import MOST_COLUMNS, Answer, Floats, Measure, column_of

Ints = npt.NDArray[np.int64]
_MEASURES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "calibration_error")
_CLASS_MEASURES = ("precision", "recall", "f1")


class Classification(Record):
    """One class for each image; outputs are probabilities that sum to one, and the largest is the answer.

    Targets are class numbers `(N,) int64`. Goodness is 1 for a right answer and 0 for a wrong one.

    >>> task = Classification.of(["dog", "cat", "dog"])
    >>> task.outputs, task.targets(["dog", "cat"]).tolist()
    (('cat', 'dog'), [1, 0])
    >>> task.answer(np.array([0.25, 0.75])).text
    'dog'
    """

    link: ClassVar[Link] = "softmax"
    baseline_name: ClassVar[str] = "majority class"
    baseline_method: ClassVar[str] = "always the most frequent training class"
    name: Literal["classification"] = "classification"
    outputs: Labels

    @classmethod
    def of(cls, labels: Sequence[str]) -> Self:
        """The classes of a data set, sorted by name.

        Raises:
            DataError: there are fewer than two classes.
        """
        classes = tuple(sorted(set(labels)))
        if len(classes) < 2:
            raise DataError(
                f"all {len(labels):,} labels are {', '.join(classes) or 'missing'}; at least 2 classes are "
                "needed. Add images of another class"
            )
        return cls(outputs=classes)

    @staticmethod
    def read(cell: str) -> str:
        """The name of the class, which is the text itself.

        Raises:
            DataError: the text is empty.
        """
        if not cell:
            raise DataError("no label")
        return cell

    def targets(self, labels: Sequence[str]) -> Ints:
        """Class numbers `(N,) int64`."""
        place = {label: number for number, label in enumerate(self.outputs)}
        return np.array([place[label] for label in labels], dtype=np.int64)

    @staticmethod
    def strata(targets: Ints) -> Ints:
        """The classes."""
        return targets

    @property
    def summary(self) -> str:
        """What is predicted, in two words."""
        return f"{len(self.outputs)} classes"

    def kinds(self, labels: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The class of each image."""
        return self.outputs, [(label,) for label in labels]

    def score(
        self,
        outputs: Floats,
        targets: Ints,
        *,
        method: str,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Scores:
        """Accuracy, balanced accuracy, F1, log-loss, calibration and the confusion matrix."""
        found = score(outputs, targets, self.outputs, method=method, groups=groups, seed=seed)
        return found.model_copy(update={"by_group": group_score(self, outputs, targets, groups)})

    @staticmethod
    def measures(scores: Scores) -> tuple[Measure, ...]:
        """The scores of all classes together, then precision, recall and F1 of each."""
        together = [
            Measure.of(name, getattr(scores, name), scores.images, is_share=name != "log_loss")
            for name in _MEASURES
        ]
        each = [
            Measure(name, getattr(one, name), images=one.images, output=one.label)
            for one in scores.classes
            for name in _CLASS_MEASURES
        ]
        return (*together, *group_measure(scores.by_group, is_share=True), *each)

    def goodness(self, outputs: Floats, targets: Ints) -> npt.NDArray[np.float64]:
        """1 where the largest probability is that of the true class, else 0; `(N,) float64`."""
        rights: npt.NDArray[np.float64] = (outputs.argmax(axis=1) == targets).astype(np.float64)
        return rights

    def span(self, targets: Ints) -> float:
        """1: differences of accuracies are compared as they are."""
        del targets
        return 1.0

    def merit(self, goodness: Floats, *, groups: Sequence[str] | None = None, seed: int = 0) -> Measure:
        """The accuracy, with Wilson's interval, or its like for groups."""
        del seed
        return Measure.of("accuracy", share_estimate(goodness, group_numbers(groups)), len(goodness))

    def baseline(self, targets: Ints, count: int) -> npt.NDArray[np.float64]:
        """The frequencies of the classes, smoothed by one."""
        return majority(targets, count, len(self.outputs)).astype(np.float64)

    def decided(self, outputs: Floats, targets: Ints, groups: Sequence[str] | None = None) -> Self:
        """The task itself: the largest probability is the answer, so nothing is left to choose."""
        del outputs, targets, groups
        return self

    def answer(self, output: Floats, *, top: int = 1) -> Answer:
        """The most probable classes, as columns `label`, `probability`, `label_2` and so on."""
        order = np.argsort(-output, kind="stable")[:top]
        best = [(self.outputs[place], float(output[place])) for place in order.tolist()]
        cells: dict[str, str] = {}
        for number, (label, chance) in enumerate(best, start=1):
            end = "" if number == 1 else f"_{number}"
            cells |= {f"label{end}": label, f"probability{end}": f"{chance:.6f}"}
        facts = {"label": best[0][0], "probability": best[0][1], "top": [list(pair) for pair in best]}
        return Answer(best[0][0], cells, facts)

    @property
    def columns(self) -> tuple[str, ...]:
        """The predicted class, its probability, and up to 50 classes that of each."""
        each = self.outputs if len(self.outputs) <= MOST_COLUMNS else ()
        return ("predicted", "probability", *map(column_of, each))

    def row(self, output: Floats) -> tuple[str, ...]:
        """The cells of `columns`."""
        best = int(output.argmax())
        each = [f"{chance:.6f}" for chance in output] if len(output) <= MOST_COLUMNS else []
        return (self.outputs[best], f"{output[best]:.6f}", *each)

    def goodness_of(self, row: Mapping[str, str]) -> float:
        """1 if the predicted class is the label, else 0."""
        return float(row["label"] == row["predicted"])
