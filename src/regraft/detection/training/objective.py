"""What a detector is trained for, and by what its epochs are compared."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from regraft.detection.trained.assignment import IGNORED
from regraft.detection.trained.head import DetectionHead, Seen
from regraft.evaluation.average_precision import average_precision
from regraft.evaluation.boxes import detections, true_boxes
from regraft.evaluation.matching import match
from regraft.tasks.task import Measure
from regraft.training.loop.objective import Overall


class DetectionObjective:
    """The losses of a detection head; weights are compared by the average precision in single pictures.

    Args:
        head: the head that is trained. Its losses read what it computed, so the loop only passes that on.
    """

    measure: ClassVar[str] = "average_precision_per_picture"
    measures_training: ClassVar[bool] = False
    overall: ClassVar[Overall | None] = None
    chances: ClassVar[npt.NDArray[np.float64] | None] = None

    def __init__(self, head: DetectionHead) -> None:
        self._head = head

    def aims(self, targets: torch.Tensor) -> torch.Tensor:
        """The targets themselves."""
        return targets

    def weights(self, aims: torch.Tensor) -> torch.Tensor | None:
        """None: every picture counts the same."""
        del aims
        return None

    def losses(self, scores: Any, aims: torch.Tensor) -> torch.Tensor:
        """The loss of each picture, `(N,)`."""
        return self._head.losses(scores, aims)

    def summed_loss(self, scores: Any, targets: torch.Tensor) -> torch.Tensor:
        """The same losses, summed."""
        return self._head.losses(scores, targets).sum()

    def goodness(self, scores: Any, targets: torch.Tensor) -> torch.Tensor:
        """The average precision in each picture, `(N,)`, as `picture_precision` computes it."""
        found, rows = self._head.found(scores), targets.cpu().numpy()
        return torch.from_numpy(picture_precision(found, rows, self._head.classes)).to(targets.device)

    @classmethod
    def measured(cls, goodness: float) -> Measure:
        """The mean over pictures."""
        return Measure(cls.measure, goodness, is_share=False)


def picture_precision(
    found: list[Seen], targets: npt.NDArray[np.float32], classes: int
) -> npt.NDArray[np.float64]:
    """How well the boxes of each picture are found, `(N,)` in [0, 1].

    It is the average precision of the picture alone, the mean over its classes and over intersections over
    union from .50 to .95. Unlike that of all pictures together it is a number of each picture, so that it
    adds up over batches and processes; it does not compare scores of different pictures. In a picture without
    boxes it is 1 minus the largest score.

    Args:
        found: what was found in each picture.
        targets: `(N, M, 5)`, as in `assignment`; what is found in an ignored region is not counted.
        classes: the number of classes.
    """
    image, row = np.nonzero(targets[..., 0] >= 0)
    where, region = np.nonzero(targets[..., 0] == IGNORED)
    regions = np.repeat(targets[where, region, 1:], classes, axis=0)
    kinds = np.tile(np.arange(classes), len(where))
    truth = true_boxes(
        np.concatenate([image, np.repeat(where, classes)]),
        np.concatenate([targets[image, row, 0], kinds]),
        np.concatenate([targets[image, row, 1:], regions]),
        is_crowd=np.repeat([False, True], [len(image), len(regions)]),
    )
    seen = detections(
        np.repeat(np.arange(len(found)), [len(one.scores) for one in found]),
        np.concatenate([one.classes for one in found]),
        np.concatenate([one.corners for one in found]),
        np.concatenate([one.scores for one in found]),
    )
    matches = match(truth, seen, images=len(found), classes=classes)
    each = average_precision(matches, np.eye(len(found)), sizes=["all"])[:, 0].mean(axis=1)
    known = ~np.isnan(each)
    total, count = np.where(known, each, 0).sum(axis=1), known.sum(axis=1)
    surest = np.array([one.scores.max(initial=0) for one in found])
    return np.where(count > 0, total / np.maximum(count, 1), 1 - surest)
