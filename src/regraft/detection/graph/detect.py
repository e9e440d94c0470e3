"""A whole detector as one torch module: from pixels on the canvas to boxes in the picture."""

from __future__ import annotations

import torch
from torch import nn

from regraft.detection.detectors.calibration import EDGE, Calibration
from regraft.detection.detectors.detector import Detector
from regraft.detection.detectors.finders import GridFinder, RegionsFinder
from regraft.detection.detectors.thresholds import LEAST_PROBABILITY
from regraft.detection.graph.solved import GridGraph, RegionsGraph
from regraft.detection.graph.trained import TrainedGraph
from regraft.detection.trained.finder import TrainedFinder
from regraft.features.extraction import HALF_MAX
from regraft.features.pooling import StageMaps
from regraft.networks.network import load_network


class Detect(nn.Module):
    """Everything that a detector computes after a picture lies on the canvas.

    Args:
        detector: the detector.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.maps = StageMaps(load_network(detector.weights))
        self.finder = _finder(detector)
        self.chances = Chances(detector.calibration)
        self.eval()

    def forward(
        self, canvas: torch.Tensor, picture: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The boxes of one picture, as `Detector.predict(...)[0].found`.

        Args:
            canvas: pixels as `on_canvas` makes them, `(1, height, width, channels) uint8`.
            picture: width and height of the upright picture, `(2,) float32`.

        Returns:
            Boxes `(N, 4) float32` (left, top, right and bottom edge in pixels of the picture), numbers of
            classes `(N,) int64`, and probabilities `(N,) float32` from .01 on, the largest first.
        """
        corners, classes, scores = self.finder(halved(self.maps(canvas)), picture)
        chances = torch.where(scores >= 0, self.chances(scores, classes), -1.0)
        chances, order = chances.sort(descending=True)
        listed = (chances >= LEAST_PROBABILITY).nonzero().flatten()
        order = order[listed]
        return corners[order].float(), classes[order], chances[listed].float()


def halved(rows: torch.Tensor) -> torch.Tensor:
    """Rows of maps rounded to half precision, as they are kept, but in single precision."""
    return rows.clamp(-HALF_MAX, HALF_MAX).half().float()


def _finder(detector: Detector) -> nn.Module:
    finder = detector.finder
    if isinstance(finder, GridFinder):
        return GridGraph(finder)
    if isinstance(finder, RegionsFinder):
        return RegionsGraph(finder)
    assert isinstance(finder, TrainedFinder)
    return TrainedGraph(finder)


class Chances(nn.Module):
    """From scores to probabilities, as `Calibration.of`."""

    intercepts: torch.Tensor

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self.slope = calibration.slope
        self.register_buffer("intercepts", torch.tensor(calibration.intercepts, dtype=torch.float64))

    def forward(self, scores: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Probabilities `(N,) float64` of scores `(N,)` of boxes of these classes `(N,)`."""
        inside = scores.double().clamp(EDGE, 1 - EDGE)
        odds = (inside / (1 - inside)).log()
        return (self.slope * odds + self.intercepts[classes]).sigmoid()
