"""A trained detector as a torch module from maps to the boxes of one picture."""

from __future__ import annotations

import torch
from torch import nn

from regraft.detection.graph.way_back import WayBack, is_real
from regraft.detection.trained.finder import TrainedFinder
from regraft.detection.trained.head import LEAST_SCORE, remaining


class TrainedGraph(nn.Module):
    """A `TrainedFinder`: the head with its suppression."""

    def __init__(self, finder: TrainedFinder) -> None:
        super().__init__()
        self.head = finder.trained.head
        self.way_back = WayBack(self.head.canvas)

    def forward(
        self, rows: torch.Tensor, picture: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What is found in a picture of this size `(2,)`, from its row of maps `(1, F) float32`.

        Returns:
            Corners `(T, 4) float64` in pixels of the picture, classes `(T,) int64` and scores `(T,)`; -1 for
            no box.
        """
        some = self.head.candidates(self.head(rows))
        corners, scores, classes = (one[0] for one in (some.corners, some.scores, some.classes))
        likely = (scores >= LEAST_SCORE).nonzero().flatten()
        corners, scores, classes = corners[likely], scores[likely], classes[likely]
        kept = remaining(corners, scores, classes, longest=max(self.head.canvas))
        edges = self.way_back(corners[kept], picture)
        return edges, classes[kept], torch.where(is_real(edges), scores[kept], -1.0)
