"""What a detector found in the pictures of one side, next to the true boxes, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.run_tables import (
    BOXES,
    DETECTIONS,
    PICTURES,
    BoxRow,
    DetectionRow,
    PictureRow,
    corners_of,
)
from regraft.errors import SettingsError
from regraft.evaluation.boxes import Bools, Detections, Floats, Ints, TrueBoxes, detections, true_boxes
from regraft.evaluation.detection_errors import DetectionErrors, detection_errors
from regraft.evaluation.detection_scores import DetectionScores
from regraft.evaluation.intervals.groups import group_numbers
from regraft.evaluation.matching import Matches, match
from regraft.evaluation.resampling import bootstrap_counts, number_of_draws
from regraft.records import Side
from regraft.storage.tables import printable

_UNKNOWN_THRESHOLD = 0.5
_LONGEST_NAME = 60  # letters
_MOST_DRAWS = 400  # for bands and small tables; the run's own scores have more


@dataclass(frozen=True)
class Evaluated:
    """The boxes of P pictures: G true ones, D detections of which S are shown, of K classes."""

    side: Side
    pictures: tuple[PictureRow, ...]
    labels: tuple[str, ...]
    """Names of the K classes, as the tables write them."""
    thresholds: Floats
    """The score from which on detections of each class are shown, `(K,)`."""
    truth: TrueBoxes
    found: Detections
    unknown: tuple[str, ...] = ()
    """The classes of true boxes that the detector does not know; these boxes are left out."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the K classes as a page shows them, long ones shortened."""
        longest = _LONGEST_NAME
        return tuple(one if len(one) <= longest else f"{one[: longest - 1]}…" for one in self.labels)

    @cached_property
    def is_shown(self) -> Bools:
        """Whether the score of each detection is large enough, `(D,)`."""
        shown: Bools = self.found.scores >= self.thresholds[self.found.classes]
        return shown

    @cached_property
    def shown(self) -> Detections:
        """The S detections that a user sees."""
        chosen = self.is_shown
        return Detections(*(each[chosen] for each in (
            self.found.images, self.found.classes, self.found.corners, self.found.scores
        )))  # fmt: skip

    @cached_property
    def matches(self) -> Matches:
        """What each detection is."""
        return self._matches(self.found)

    @cached_property
    def errors(self) -> DetectionErrors:
        """The kinds of all detections."""
        return detection_errors(self.matches, self.truth, self.found)

    @cached_property
    def shown_errors(self) -> DetectionErrors:
        """The kinds of the detections that are shown, and what they make of the true boxes."""
        return detection_errors(self._matches(self.shown), self.truth, self.shown)

    @cached_property
    def groups(self) -> Ints | None:
        """The number of the group of each picture, `(P,)`; None if all are alone."""
        return group_numbers([row.group or row.path for row in self.pictures])

    @cached_property
    def counts(self) -> Floats:
        """How often each picture is in each draw of a bootstrap, `(B, P)`; whole groups are drawn."""
        count = len(self.pictures)
        draws = min(_MOST_DRAWS, number_of_draws(count, 20 * len(self.labels)))
        return np.concatenate(list(bootstrap_counts(count, draws=draws, seed=0, groups=self.groups)))

    @property
    def is_counted(self) -> Bools:
        """Whether each true box counts, `(G,)`: it is no crowd and not difficult."""
        counted: Bools = self.matches.is_counted[0]
        return counted

    def _matches(self, found: Detections) -> Matches:
        images, classes = len(self.pictures), len(self.labels)
        return match(self.truth, found, images=images, classes=classes, groups=self.groups)


def evaluated(files: DetectorFiles) -> Evaluated:
    """The pictures of the side that the run's scores are of, with all their boxes.

    Raises:
        SettingsError: a table is missing or damaged, or two of them disagree; the message names the file.
    """
    best = files.best
    labels = tuple(printable(one.label) for one in best.classes)
    side = _side(files)
    pictures = tuple(row for row in files.pictures if row.side == side)
    if not pictures:
        raise SettingsError(f"{files.folder / PICTURES.name} has no {side} picture. Run the fit again")
    places = {row.path: number for number, row in enumerate(pictures)}
    if len(places) < len(pictures):
        raise SettingsError(f"{files.folder / PICTURES.name} names a picture twice. Run the fit again")
    numbers = {label: number for number, label in enumerate(labels)}
    every = [row for row in files.boxes if row.side == side]
    boxes = [row for row in every if row.label in numbers]
    found = [row for row in files.detections if row.side == side]
    where = {name: str(files.folder / name) for name in (BOXES.name, DETECTIONS.name)}
    return Evaluated(
        side,
        pictures,
        labels,
        _thresholds(files, labels, best),
        true_boxes(
            *_numbered(boxes, places, numbers, where[BOXES.name]),
            corners_of(boxes),
            is_crowd=[row.is_crowd for row in boxes],
            is_ignored=[row.is_difficult for row in boxes],
        ),
        detections(
            *_numbered(found, places, numbers, where[DETECTIONS.name]),
            corners_of(found),
            [row.score for row in found],
        ),
        tuple(sorted({row.label for row in every} - set(labels))),
    )


def _side(files: DetectorFiles) -> Side:
    """The side of the scores: that of the detections, if there is any.

    Training pictures were predicted out of fold: they have the scores of a run without others, and of one
    that was interrupted before it came to its validation pictures.
    """
    if files.scores.test is not None:
        return "test"
    found = {row.side for row in files.detections}
    if len(found) == 1:
        return found.pop()
    return "validation" if any(row.side == "validation" for row in files.pictures) else "train"


def _thresholds(files: DetectorFiles, labels: Sequence[str], best: DetectionScores) -> Floats:
    """The threshold of each class from its table; of a class without row, that of its scores."""
    chosen = {row.label: row.threshold for row in files.thresholds}
    own = (one.point.threshold for one in best.classes)
    return np.array(
        [
            chosen.get(label, _UNKNOWN_THRESHOLD if other is None else other)
            for label, other in zip(labels, own, strict=True)
        ],
        dtype=np.float64,
    )


def _numbered(
    rows: Sequence[BoxRow | DetectionRow], places: Mapping[str, int], numbers: Mapping[str, int], file: str
) -> tuple[Ints, Ints]:
    """The numbers of the pictures and of the classes of some boxes."""
    try:
        images = np.array([places[row.path] for row in rows], dtype=np.int64)
        return images, np.array([numbers[row.label] for row in rows], dtype=np.int64)
    except KeyError as error:
        raise SettingsError(
            f"{file} names {error.args[0]!r}, which is neither a picture of this side in {PICTURES.name} "
            "nor a class in scores.json. Run the fit again"
        ) from error
