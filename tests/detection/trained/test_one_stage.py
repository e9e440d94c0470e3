from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from regraft.detection.trained.assignment import assign
from regraft.detection.trained.cells import shapes_of
from regraft.detection.trained.one_stage import Dense, DenseHead, OneStage, quality_focal
from tests.detection.trained.examples import CANVAS, levels_of, some_boxes
from tests.detection.trained.test_assignment import random_targets

LEVELS = levels_of()
HEAD = DenseHead(shapes_of(LEVELS), width=16, classes=3, objects=2.5)


def said(pictures: int, seed: int) -> Dense:
    """Random logits and boxes of all cells."""
    draws = np.random.default_rng(seed)
    lengths = torch.from_numpy(draws.uniform(1, 60, (pictures, HEAD.cells.count, 4))).float()
    centres = HEAD.cells.centres
    corners = torch.cat([centres - lengths[..., :2], centres + lengths[..., 2:]], dim=-1)
    return Dense(torch.from_numpy(draws.normal(-2, 2, (pictures, HEAD.cells.count, 3))).float(), corners)


def overlap(one: list[float], other: list[float]) -> tuple[float, float]:
    """Intersection over union of two boxes, and its generalised form."""
    across = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    down = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    union = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    union -= across * down
    hull = (max(one[2], other[2]) - min(one[0], other[0])) * (max(one[3], other[3]) - min(one[1], other[1]))
    return across * down / union, across * down / union - (hull - union) / hull


def naive_loss(output: Dense, number: int, targets: torch.Tensor) -> float:
    """The loss of a picture, one number at a time."""
    pairs = assign(targets[number : number + 1], HEAD.cells)
    aims: dict[tuple[int, int], float] = {}
    total = 0.0
    for is_pair, cell, kind, corners in zip(
        pairs.is_pair[0].tolist(),
        pairs.cells[0].tolist(),
        pairs.classes[0].tolist(),
        pairs.corners[0].tolist(),
        strict=True,
    ):
        if is_pair:
            share, generalised = overlap(output.corners[number, cell].tolist(), corners)
            aims[cell, kind] = share
            total += 2 * (1 - generalised)
    for cell in range(HEAD.cells.count):
        if pairs.is_used[0, cell]:
            for kind in range(3):
                chance = 1 / (1 + math.exp(-float(output.classes[number, cell, kind])))
                aim = aims.get((cell, kind), 0.0)
                entropy = -aim * math.log(chance) - (1 - aim) * math.log(1 - chance)
                total += entropy * (chance - aim) ** 2
    return total / (8 * 2.5)


def test_losses_are_those_of_a_sum_over_cells_and_classes() -> None:
    targets, output = random_targets(3, 8, 0), said(3, 1)
    found = HEAD.losses(output, targets)
    assert found.tolist() == pytest.approx([naive_loss(output, n, targets) for n in range(3)], rel=1e-4)


def test_quality_focal_loss_by_hand() -> None:
    """A chance of .5 against an aim of .9: entropy ln 2, squared error .16."""
    assert quality_focal(torch.zeros(()), torch.tensor(0.9)).item() == pytest.approx(0.16 * math.log(2))


def test_cells_in_ignored_regions_change_nothing() -> None:
    region = torch.tensor([[[-2.0, 0, 0, 64, 200], [1, 70, 10, 110, 60]]])
    output = said(1, 2)
    inside = (HEAD.cells.centres[:, 0] < 64).nonzero().flatten()
    other = Dense(output.classes.clone(), output.corners)
    other.classes[:, inside] += 3
    assert torch.equal(HEAD.losses(output, region), HEAD.losses(other, region))
    plain = region[:, 1:]
    assert not torch.equal(HEAD.losses(output, plain), HEAD.losses(other, plain))


@pytest.mark.parametrize("rows", [0, 3], ids=["no rows", "only paddings"])
def test_a_picture_without_boxes_has_a_finite_loss_with_gradients(rows: int) -> None:
    head = OneStage(LEVELS, CANVAS, classes=1, width=16)
    losses = head.losses(head(torch.randn(2, LEVELS[-1].stop)), torch.full((2, rows, 5), -1.0))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in head.parameters())


def test_boxes_larger_than_the_canvas_have_finite_losses_and_are_clipped_when_found() -> None:
    head = OneStage(LEVELS, CANVAS, classes=2, width=16)
    rows = torch.randn(1, LEVELS[-1].stop)
    losses = head.losses(head(rows), torch.tensor([[[0.0, -500, -300, 900, 800], [1, -40, -40, -10, -10]]]))
    assert losses.isfinite().all()
    with torch.no_grad():
        head.dense.scales += 9
    (found,) = head.eval().detect(rows)
    assert len(found.scores) > 0
    assert found.corners.min() >= 0
    assert (found.corners <= [128, 96, 128, 96]).all()


def test_each_class_has_candidates_of_its_own() -> None:
    head = OneStage(LEVELS, CANVAS, classes=2, width=16)
    output = head(torch.randn(1, LEVELS[-1].stop))
    output.classes[..., 0] += 9
    assert head.candidates(output).classes.flatten().bincount().tolist() == [output.classes.shape[1]] * 2


@pytest.mark.parametrize("strides", [(8, 16), (16, 32), (16,)], ids=str)
def test_networks_without_some_strides_are_welcome(strides: tuple[int, ...]) -> None:
    levels = levels_of(strides)
    head = OneStage(levels, CANVAS, classes=2, width=16)
    targets = torch.tensor([some_boxes(1)[0]])
    head.losses(head(torch.randn(1, levels[-1].stop)), targets).sum().backward()
    assert all(lateral.weight.grad.abs().sum() > 0 for lateral in head.neck.laterals)
