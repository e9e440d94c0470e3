"""Whether an exported detector finds the boxes that its detector finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regraft.detection.detectors.detector import DetectedPicture
from regraft.detection.detectors.thresholds import LEAST_PROBABILITY
from regraft.detection.maps.found import Found
from regraft.errors import ExportError

PIXELS = 0.01
"""How far the edges of two boxes may differ that are the same, in pixels of the picture, or of the canvas
where that is smaller."""
SCORES = 1e-3
"""How far the probabilities of two boxes may differ that are the same."""
MOST_ALONE = 0.01
"""The share of boxes that only one side may find; two boxes are always allowed."""


@dataclass(frozen=True)
class BoxParity:
    """How the boxes of an exported detector compare with those of its detector."""

    pictures: int
    sample: str
    """Which pictures these are, to follow their number."""
    boxes: int
    """Number of boxes that both find."""
    largest_px: float
    """The largest difference of an edge, in pixels of the picture, or of the canvas where that is smaller."""
    largest_score: float
    """The largest difference of a probability."""
    at_limit: int
    """Number of boxes that only one of them lists, because their probability is that of the limit, .01."""
    alone: int
    """Number of other boxes that only one of them finds, where two boxes or two classes are nearly equal."""

    @property
    def text(self) -> str:
        """The comparison in words."""
        said = (
            f"the same {self.boxes:,} boxes, edges within {self.largest_px:.1g} pixels, probabilities within "
            f"{self.largest_score:.1g}"
        )
        if self.at_limit:
            said += f"; {self.at_limit} more at the limit of {LEAST_PROBABILITY:g} on one side only"
        if self.alone:
            said += f"; {self.alone} more on one side only, where two boxes or classes are nearly equal"
        return said


@dataclass(frozen=True)
class _Pair:
    """What two lists of boxes of one picture have in common."""

    shared: int
    largest_px: float
    largest_score: float
    at_limit: int
    alone: int


def compared_boxes(
    theirs: Sequence[Found],
    ours: Sequence[DetectedPicture],
    canvas: tuple[int, int],
    sample: str,
    *,
    times: float = 1.0,
    most_alone: float = MOST_ALONE,
) -> BoxParity:
    """Compare the boxes that two detectors find in the same pictures.

    Args:
        theirs: boxes by the exported file.
        ours: those by the detector.
        canvas: width and height of the canvas.
        sample: which pictures these are, to follow their number.
        times: how many times `PIXELS` and `SCORES` they may differ.
        most_alone: the share of boxes that only one of them may find.

    Raises:
        ExportError: they find other boxes, except for a few that are nearly equal to others.
    """
    pairs = [
        _paired(one, picture.found, _unit(picture, canvas), times)
        for one, picture in zip(theirs, ours, strict=True)
    ]
    parity = BoxParity(
        len(pairs),
        sample,
        sum(pair.shared for pair in pairs),
        max((pair.largest_px for pair in pairs), default=0.0),
        max((pair.largest_score for pair in pairs), default=0.0),
        sum(pair.at_limit for pair in pairs),
        sum(pair.alone for pair in pairs),
    )
    if parity.alone > max(2.0, most_alone * (parity.boxes + parity.alone)):
        raise ExportError(
            f"the exported graph differs from the detector on {parity.pictures} {sample}: {parity.alone} "
            f"boxes of {parity.boxes + parity.alone} are found by only one of them, or differ by more than "
            f"{times * PIXELS:g} pixels or {times * SCORES:g} in probability. Nothing was written; please "
            "report the network and the versions"
        )
    return parity


def _unit(picture: DetectedPicture, canvas: tuple[int, int]) -> float:
    """The length of a pixel of the canvas in pixels of the picture, but at least one."""
    return max(1.0, picture.width / canvas[0], picture.height / canvas[1])


def _paired(theirs: Found, ours: Found, unit: float, times: float) -> _Pair:
    """Each of our boxes with the nearest of theirs that is left."""
    free = np.ones(len(theirs), dtype=bool)
    pixels, scores, alone = [0.0], [0.0], []
    for corners, kind, score in zip(ours.corners, ours.classes, ours.scores, strict=True):
        gaps = np.abs(theirs.corners - corners).max(axis=1, initial=0.0) / unit
        apart = np.abs(theirs.scores - score)
        fits = free & (theirs.classes == kind) & (gaps <= times * PIXELS) & (apart <= times * SCORES)
        if not fits.any():
            alone.append(float(score))
            continue
        best = int(np.where(fits, gaps, np.inf).argmin())
        free[best] = False
        pixels.append(float(gaps[best]))
        scores.append(float(apart[best]))
    alone += theirs.scores[free].tolist()
    at_limit = sum(score <= LEAST_PROBABILITY + times * SCORES for score in alone)
    return _Pair(len(pixels) - 1, max(pixels), max(scores), at_limit, len(alone) - at_limit)
