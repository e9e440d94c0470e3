"""Pictures of a data set as a detector is fitted to them: where they lie on the canvas, with which boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from regraft.detection.annotations.boxes import BoxedPicture
from regraft.detection.maps.canvas import Placement
from regraft.records import InputSpec

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """One picture on the canvas."""

    key: str
    """SHA-256 of the picture's file."""
    path: str
    placement: Placement
    corners: Floats
    """`(N, 4)`, the true boxes in pixels of the upright picture; N may be 0."""
    classes: npt.NDArray[np.int64]
    """`(N,)`, the number of each box's class."""
    is_ignored: npt.NDArray[np.bool_]
    """`(N,)`, whether a box is a crowd or hard to see: neither finding nor missing it counts."""
    is_crowd: npt.NDArray[np.bool_]
    fold: int = 0
    """Number of the fold that the picture is in, for training pictures."""
    group: str = ""
    """The group of copies and look-alikes that the picture is in; empty for one that is alone."""

    @property
    def on_canvas(self) -> Floats:
        """The true boxes in pixels of the canvas, `(N, 4)`."""
        return self.placement.onto(self.corners)


def scenes_of(
    pictures: Sequence[BoxedPicture],
    labels: Sequence[str],
    spec: InputSpec,
    folds: Sequence[int] | None = None,
    groups: Sequence[str] | None = None,
) -> tuple[Scene, ...]:
    """The pictures on the canvas of a network's input.

    Args:
        pictures: pictures with their boxes.
        labels: the classes in order; boxes of others are left out.
        spec: the network's input.
        folds: the fold of each picture; None means 0.
        groups: the group of each picture; None means that each is alone.
    """
    height, width, _ = spec.shape
    number = {label: place for place, label in enumerate(labels)}
    scenes = []
    for place, picture in enumerate(pictures):
        boxes = [box for box in picture.boxes if box.label in number]
        scenes.append(
            Scene(
                picture.sha256,
                picture.path,
                Placement(picture.width, picture.height, width, height),
                np.array([(b.x_min, b.y_min, b.x_max, b.y_max) for b in boxes], float).reshape(-1, 4),
                np.array([number[box.label] for box in boxes], dtype=np.int64),
                np.array([box.is_crowd or box.is_difficult for box in boxes], dtype=bool),
                np.array([box.is_crowd for box in boxes], dtype=bool),
                0 if folds is None else folds[place],
                "" if groups is None else groups[place],
            )
        )
    return tuple(scenes)
