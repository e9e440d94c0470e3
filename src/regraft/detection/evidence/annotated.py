"""What a run's annotations say of one of its pictures: which found boxes are right, and what is missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regraft.detection.detectors.run_files import DetectorFiles
from regraft.detection.detectors.run_tables import BoxRow, PictureRow, corners_of
from regraft.detection.maps.found import Found
from regraft.evaluation.boxes import detections, overlaps, true_boxes
from regraft.evaluation.detection_errors import FATES, KINDS, Kind, detection_errors
from regraft.evaluation.matching import match
from regraft.storage.tables import printable

_SAME = 0.5
"""Overlap from which on a box is of an object, as for the scores."""


@dataclass(frozen=True)
class Missed:
    """An annotated box that no shown box finds."""

    box: BoxRow
    number: int
    """The number of its class."""
    score: float | None
    """The largest probability of a box of its class that overlaps by at least a half; None without."""
    overlap: float
    """The largest overlap with a box of its class, whatever its probability from .01 on."""
    other: str
    """The class of the most probable shown box that overlaps with it by at least a half; empty without."""


@dataclass(frozen=True)
class Annotated:
    """A picture of a run, with what its annotations say of the boxes that are shown."""

    picture: PictureRow
    kinds: tuple[Kind, ...]
    """What each shown box is, in their order."""
    missed: tuple[Missed, ...]
    objects: int
    """Number of the annotated boxes that count."""


def annotated(
    files: DetectorFiles, sha256: str, labels: Sequence[str], found: Found, shown: Found
) -> Annotated | None:
    """What a run's annotations say of what was found; None if the picture is not one of the run's.

    Args:
        files: the run.
        sha256: hash of the picture's file, by which it is recognised, wherever it is.
        labels: the detector's classes.
        found: all boxes from .01 on.
        shown: those of them that are shown.
    """
    picture = next((row for row in files.pictures if row.sha256 == sha256), None)
    if picture is None:
        return None
    numbers = {printable(label): number for number, label in enumerate(labels)}
    boxes = [row for row in files.boxes if row.path == picture.path and row.label in numbers]
    truth = true_boxes(
        np.zeros(len(boxes), np.int64),
        np.array([numbers[row.label] for row in boxes], dtype=np.int64),
        corners_of(boxes),
        is_crowd=[row.is_crowd for row in boxes],
        is_ignored=[row.is_difficult for row in boxes],
    )
    claims = detections(np.zeros(len(shown), np.int64), shown.classes, shown.corners, shown.scores)
    matches = match(truth, claims, images=1, classes=len(labels))
    errors = detection_errors(matches, truth, claims)
    is_lost = ~np.isin(errors.fates, [FATES.index("found"), FATES.index("ignored")])
    lost = [
        _missed(boxes[place], int(truth.classes[place]), labels, found, shown)
        for place in np.flatnonzero(is_lost)
    ]
    kinds = tuple(KINDS[kind] for kind in errors.kinds)
    return Annotated(picture, kinds, tuple(lost), int(matches.is_counted[0].sum()))


def _missed(box: BoxRow, number: int, labels: Sequence[str], found: Found, shown: Found) -> Missed:
    corners = corners_of([box])
    shares = overlaps(corners, found.corners)[0]
    own = found.classes == number
    near = own & (shares >= _SAME)
    others = np.flatnonzero((overlaps(corners, shown.corners)[0] >= _SAME) & (shown.classes != number))
    return Missed(
        box,
        number,
        float(found.scores[near].max()) if near.any() else None,
        float(shares[own].max(initial=0.0)),
        labels[int(shown.classes[others[0]])] if len(others) else "",
    )
