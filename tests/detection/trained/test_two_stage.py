from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from regraft.detection.trained.boxes import from_offsets, generalised_overlaps, overlaps
from regraft.detection.trained.two_stage import TwoStage, matched
from tests.detection.trained.examples import CANVAS, levels_of, some_boxes
from tests.detection.trained.test_assignment import random_targets

LEVELS = levels_of()


def regions(count: int, seed: int) -> torch.Tensor:
    draws = np.random.default_rng(seed)
    low = draws.uniform(0, 60, (2, count, 2))
    return torch.from_numpy(np.concatenate([low, low + draws.uniform(5, 40, (2, count, 2))], axis=2)).float()


def near(targets: torch.Tensor, seed: int) -> torch.Tensor:
    """The boxes of targets, moved a little."""
    return targets[..., 1:] + torch.from_numpy(np.random.default_rng(seed).normal(0, 3, (2, 6, 4))).float()


def test_regions_are_matched_as_in_a_search_box_by_box() -> None:
    targets = random_targets(2, 6, 3)
    corners = torch.cat([regions(20, 0), near(targets, 1)], dim=1)
    classes, shares, boxes, is_used = matched(corners, targets, background=3)
    for number in range(2):
        for place, corner in enumerate(corners[number]):
            real = [row for row in targets[number] if row[0] >= 0]
            each = [float(overlaps(corner, row[1:])) for row in real]
            best = int(np.argmax(each)) if each else 0
            if each and each[best] >= 0.5:
                assert classes[number, place] == int(real[best][0])
                assert shares[number, place] == pytest.approx(each[best])
                assert torch.equal(boxes[number, place], real[best][1:])
                assert is_used[number, place]
            else:
                assert classes[number, place] == 3
    assert (classes < 3).any()
    assert (classes == 3).any()


def test_regions_in_ignored_regions_are_not_used() -> None:
    targets = torch.tensor([[[-2.0, 0, 0, 50, 50], [1, 10, 10, 40, 40]]])
    corners = torch.tensor([[[5.0, 5, 25, 25], [10, 10, 40, 41], [40, 40, 80, 80], [45, 0, 65, 20]]])
    classes, _, _, is_used = matched(corners, targets, background=2)
    assert classes.tolist() == [[2, 1, 2, 2]]
    assert is_used.tolist() == [[False, True, True, True]]


def test_a_picture_without_rows_has_only_background() -> None:
    classes, _, _, is_used = matched(regions(5, 0), torch.zeros(2, 0, 5), background=2)
    assert classes.tolist() == [[2] * 5] * 2
    assert is_used.all()


def test_losses_of_the_second_stage_are_those_of_a_sum_over_regions() -> None:
    head = TwoStage(LEVELS, CANVAS, classes=3, width=16)
    targets = random_targets(2, 6, 3)
    corners = torch.cat([regions(20, 0), near(targets, 1)], dim=1)
    logits, offsets = torch.randn(2, 26, 4), torch.randn(2, 26, 4)
    found = head._second_losses(corners, logits, offsets, targets)
    classes, _, boxes, is_used = matched(corners, targets, background=3)
    for number in range(2):
        total = 0.0
        for place in range(26):
            if not is_used[number, place]:
                continue
            row, kind = logits[number, place].tolist(), int(classes[number, place])
            total += math.log(sum(math.exp(value) for value in row)) - row[kind]
            if kind < 3:
                moved = from_offsets(offsets[number, place], corners[number, place])
                total += 1 - float(generalised_overlaps(moved, boxes[number, place]))
        assert float(found[number]) == pytest.approx(total / 64, rel=1e-5)


@pytest.mark.parametrize("rows", [0, 3], ids=["no rows", "only paddings"])
def test_a_picture_without_boxes_has_a_finite_loss_with_gradients(rows: int) -> None:
    head = TwoStage(LEVELS, CANVAS, classes=1, width=16)
    losses = head.losses(head(torch.randn(2, LEVELS[-1].stop)), torch.full((2, rows, 5), -1.0))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in head.parameters())


def test_boxes_larger_than_the_canvas_have_finite_losses() -> None:
    head = TwoStage(LEVELS, CANVAS, classes=2, width=16)
    output = head(torch.randn(1, LEVELS[-1].stop))
    losses = head.losses(output, torch.tensor([[[0.0, -500, -300, 900, 800], [1, -40, -40, -10, -10]]]))
    assert losses.isfinite().all()


def test_regions_are_distinct_and_in_order() -> None:
    head = TwoStage(LEVELS, CANVAS, classes=2, width=16)
    scores, corners = head._proposals(head(torch.randn(1, LEVELS[-1].stop)).dense, 20)
    assert scores[0].tolist() == sorted(scores[0].tolist(), reverse=True)
    kept = corners[0][scores[0] > 0]
    shares = overlaps(kept[:, None], kept).fill_diagonal_(0)
    assert len(kept) > 1
    assert shares.max() <= 0.7


@pytest.mark.parametrize("strides", [(8, 16), (16,)], ids=str)
def test_networks_without_some_strides_are_welcome(strides: tuple[int, ...]) -> None:
    levels = levels_of(strides)
    head = TwoStage(levels, CANVAS, classes=2, width=16)
    targets = torch.tensor([some_boxes(1)[0]])
    head.losses(head(torch.randn(1, levels[-1].stop)), targets).sum().backward()
    assert all(lateral.weight.grad.abs().sum() > 0 for lateral in head.neck.laterals)
