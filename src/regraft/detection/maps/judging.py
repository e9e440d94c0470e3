"""How good found boxes are on pictures with true boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regraft.detection.maps.found import Found
from regraft.detection.maps.scenes import Scene
from regraft.evaluation.average_precision import average_precision, mean_over_classes
from regraft.evaluation.boxes import Detections, TrueBoxes, detections, true_boxes
from regraft.evaluation.intervals.groups import group_numbers
from regraft.evaluation.matching import IOUS, Matches, match


def truth_of(scenes: Sequence[Scene]) -> TrueBoxes:
    """The true boxes of all pictures, numbered in order."""
    return true_boxes(
        np.concatenate([[0][:0], *(np.full(len(one.classes), place) for place, one in enumerate(scenes))]),
        np.concatenate([[0][:0], *(one.classes for one in scenes)]),
        np.concatenate([np.zeros((0, 4)), *(one.corners for one in scenes)]),
        is_crowd=np.concatenate([[False][:0], *(one.is_crowd for one in scenes)]),
        is_ignored=np.concatenate([[False][:0], *(one.is_ignored for one in scenes)]),
    )


def all_found(found: Sequence[Found]) -> Detections:
    """The found boxes of all pictures, numbered in order."""
    return detections(
        np.concatenate([[0][:0], *(np.full(len(one), place) for place, one in enumerate(found))]),
        np.concatenate([[0][:0], *(one.classes for one in found)]),
        np.concatenate([np.zeros((0, 4)), *(one.corners for one in found)]),
        np.concatenate([np.zeros(0), *(one.scores for one in found)]),
    )


def matched(found: Sequence[Found], scenes: Sequence[Scene], classes: int) -> Matches:
    """Which found boxes are right.

    Args:
        found: the found boxes of each picture.
        scenes: the pictures, in the same order.
        classes: number of classes.
    """
    groups = group_numbers([scene.group or scene.key for scene in scenes])
    return match(truth_of(scenes), all_found(found), images=len(scenes), classes=classes, groups=groups)


def map50(matches: Matches) -> float:
    """Mean average precision at IoU .50; 0 if no picture has a true box."""
    values = average_precision(matches, sizes=["all"], ious=IOUS[:1])
    mean = float(mean_over_classes(values[:, 0, 0])[0])
    return 0.0 if np.isnan(mean) else mean
