from __future__ import annotations

import numpy as np
import torch
from torchvision.ops import batched_nms

from regraft.detection.trained.boxes import overlaps
from regraft.detection.trained.head import Candidates, DetectionHead, distinct, remaining


def crowded(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draws = np.random.default_rng(seed)
    low = draws.uniform(0, 60, (count, 2))
    corners = np.concatenate([low, low + draws.uniform(10, 40, (count, 2))], axis=1)
    scores = np.sort(draws.random(count))[::-1].copy()
    return (
        torch.from_numpy(corners).float(),
        torch.from_numpy(scores).float(),
        torch.from_numpy(draws.integers(0, 3, count)),
    )


def test_suppression_is_torchvisions_class_by_class() -> None:
    corners, scores, classes = crowded(300, 0)
    found = remaining(corners, scores, classes, longest=100)
    assert found.tolist() == batched_nms(corners, scores, classes, 0.6).tolist()


def test_a_class_has_at_most_a_hundred_boxes() -> None:
    places = torch.arange(150.0)
    corners = torch.stack([places, places * 0, places + 0.5, places * 0 + 1], dim=1)
    classes = (places >= 130).long()
    found = remaining(corners, 1 - places / 200, classes, longest=200)
    assert found.tolist() == [*range(100), *range(130, 150)]


def test_distinct_boxes_overlap_with_none_before_them() -> None:
    corners, _, _ = crowded(40, 1)
    found = distinct(corners[None], limit=0.5)[0]
    for number in range(40):
        before = [float(overlaps(corners[number], corners[other])) for other in range(number)]
        assert bool(found[number]) == (max(before, default=0) <= 0.5)


class Canned(DetectionHead):
    """A head that has always found the same."""

    canvas, classes = (100, 50), 2

    def forward(self, rows: torch.Tensor) -> Candidates:
        boxes = [[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [50, 0, 60, 10]]
        scores, classes = [0.9, 0.8, 0.7, 0.009], [1, 1, 0, 0]
        return Candidates(
            torch.tensor([boxes] * len(rows)),
            torch.tensor([scores] * len(rows)),
            torch.tensor([classes] * len(rows)),
        )

    def losses(self, output: Candidates, targets: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def candidates(self, output: Candidates) -> Candidates:
        return output


def test_what_is_found_is_neither_double_nor_improbable() -> None:
    first, second = Canned().detect(torch.zeros(2, 1))
    assert first.scores.tolist() == second.scores.tolist() == np.array([0.9, 0.7], np.float32).tolist()
    assert first.classes.tolist() == [1, 0]
    assert first.corners.tolist() == [[0, 0, 10, 10]] * 2
