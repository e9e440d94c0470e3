"""How many objects a detector counts in each picture, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.detection.detectors.evaluated import Evaluated
from regraft.evaluation.boxes import Floats
from regraft.evaluation.detection_errors import KINDS
from regraft.evaluation.intervals.groups import number_of_groups
from regraft.evaluation.resampling import percentile_interval
from regraft.records import Estimate


@dataclass(frozen=True)
class CountRow:
    """Counts of the objects of one class, or of all."""

    label: str
    there: int
    """Number of objects in all pictures together."""
    shown: int
    """Number of boxes that are shown."""
    error: Estimate
    """Mean of the absolute difference in a picture, in objects."""
    exact: float
    """Share of the pictures in which both are equal."""


@dataclass(frozen=True)
class Counts:
    """Objects in each of the P pictures."""

    there: npt.NDArray[np.int64]
    """`(P,)`, annotated ones, without crowds and difficult ones."""
    shown: npt.NDArray[np.int64]
    """`(P,)`, boxes that are shown and count."""
    rows: list[CountRow]
    """A row for all classes together, then one for each class if there are several."""


def object_counts(run: Evaluated) -> Counts:
    """Counts at the thresholds of the classes."""
    width, classes = len(run.pictures), len(run.labels)
    is_shown = run.shown_errors.kinds != KINDS.index("ignored")
    there = _table(run.truth.images[run.is_counted], run.truth.classes[run.is_counted], width, classes)
    shown = _table(run.shown.images[is_shown], run.shown.classes[is_shown], width, classes)
    groups = number_of_groups(run.groups)
    together = _row("all classes", there.sum(axis=1), shown.sum(axis=1), run.counts, groups)
    each = [
        _row(label, there[:, number], shown[:, number], run.counts, groups)
        for number, label in enumerate(run.names)
    ]
    return Counts(there.sum(axis=1), shown.sum(axis=1), [together, *each] if classes > 1 else [together])


def _table(
    images: npt.NDArray[np.int64], kinds: npt.NDArray[np.int64], width: int, classes: int
) -> npt.NDArray[np.int64]:
    counted = np.bincount(images * classes + kinds, minlength=width * classes)
    return counted.astype(np.int64).reshape(width, classes)


def _row(
    label: str,
    there: npt.NDArray[np.int64],
    shown: npt.NDArray[np.int64],
    counts: Floats,
    groups: int | None,
) -> CountRow:
    errors = np.abs(shown - there).astype(np.float64)
    error = percentile_interval(float(errors.mean()), counts @ errors / counts.sum(axis=1), groups)
    return CountRow(label, int(there.sum()), int(shown.sum()), error, float((errors == 0).mean()))
