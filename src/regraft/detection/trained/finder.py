"""A trained detector as what finds boxes on maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regraft.detection.maps.canvas import Placement
from regraft.detection.maps.found import Found
from regraft.detection.trained.detector import TrainedDetector
from regraft.detection.trained.record import TrainedKind, TrainedRecord
from regraft.records import MapLevel

Floats = npt.NDArray[Any]


class TrainedFinder:
    """Finds boxes by a trained detector.

    Args:
        trained: the detector.
    """

    def __init__(self, trained: TrainedDetector) -> None:
        self.trained = trained
        self.record: TrainedRecord = trained.record

    @property
    def kind(self) -> TrainedKind:
        """One stage or two."""
        return self.record.kind

    @property
    def levels(self) -> tuple[MapLevel, ...]:
        """The maps that it reads."""
        return self.record.levels

    def found(self, rows: Floats, placements: Sequence[Placement]) -> list[Found]:
        """The boxes in each picture, in pixels of the picture.

        Args:
            rows: rows of maps `(N, F)`.
            placements: where each picture lies on the canvas.
        """
        device = next(self.trained.head.parameters()).device
        seen = self.trained.detect(torch.from_numpy(np.ascontiguousarray(rows)).to(device))
        results = []
        for one, placement in zip(seen, placements, strict=True):
            corners = placement.back(one.corners)
            is_real = (corners[:, 2:] - corners[:, :2] >= 1).all(axis=1)
            results.append(Found.of(corners[is_real], one.classes[is_real], one.scores[is_real]))
        return results

    def arrays(self) -> dict[str, Floats]:
        """The weights by name."""
        state = self.trained.head.state_dict()
        return {f"trained.{name}": value.detach().cpu().numpy() for name, value in state.items()}

    @classmethod
    def load(cls, record: TrainedRecord, arrays: Mapping[str, Floats]) -> TrainedFinder:
        """The detector whose arrays were saved.

        Raises:
            ValueError: the arrays are not those of such a detector.
        """
        detector = TrainedDetector.new(record, None)
        state = {
            name.removeprefix("trained."): torch.from_numpy(value.copy()) for name, value in arrays.items()
        }
        try:
            detector.head.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        return cls(detector)
