from __future__ import annotations

import numpy as np
import torch

from regraft.detection.trained.assignment import assign, ignored_points, levels_for
from regraft.detection.trained.cells import Cells, shapes_of
from tests.detection.trained.examples import levels_of

CELLS = Cells(shapes_of(levels_of((8, 16, 32))))


def random_targets(pictures: int, boxes: int, seed: int) -> torch.Tensor:
    """Boxes of all sizes, some beyond the canvas, with paddings and ignored regions between them."""
    draws = np.random.default_rng(seed)
    middle = draws.uniform((-10, -10), (138, 106), (pictures, boxes, 2))
    half = np.exp(draws.uniform(np.log(1), np.log(150), (pictures, boxes, 2))) / 2
    kinds = draws.integers(-2, 3, (pictures, boxes, 1))
    return torch.from_numpy(np.concatenate([kinds, middle - half, middle + half], axis=2)).float()


def naive(rows: torch.Tensor) -> dict[int, int]:
    """The box of each cell, found cell by cell: the smallest of those that claim it."""
    owners: dict[int, tuple[float, int]] = {}
    first = 0
    for number, shape in enumerate(CELLS.shapes):
        for row in range(shape.height):
            for column in range(shape.width):
                x, y = (column + 0.5) * shape.stride, (row + 0.5) * shape.stride
                for box, (kind, left, top, right, bottom) in enumerate(rows.tolist()):
                    half = max(right - left, bottom - top) / 2
                    low = 8 * CELLS.shapes[number - 1].stride if number else -1
                    high = 8 * shape.stride if number + 1 < len(CELLS.shapes) else 1e9
                    middle_x = min(max(int(np.floor((left + right) / 2 / shape.stride)), 0), shape.width - 1)
                    middle_y = min(max(int(np.floor((top + bottom) / 2 / shape.stride)), 0), shape.height - 1)
                    is_near = abs(middle_x - column) <= 1 and abs(middle_y - row) <= 1
                    is_middle = (middle_x, middle_y) == (column, row)
                    is_inside = left < x < right and top < y < bottom
                    claims = kind >= 0 and low < half <= high and is_near and (is_inside or is_middle)
                    cell, size = first + row * shape.width + column, (right - left) * (bottom - top)
                    if claims and (cell not in owners or size < owners[cell][0]):
                        owners[cell] = (size, box)
        first += shape.height * shape.width
    return {cell: box for cell, (_, box) in owners.items()}


def test_pairs_are_those_of_a_search_cell_by_cell() -> None:
    targets = random_targets(4, 12, 0)
    pairs = assign(targets, CELLS)
    for number, rows in enumerate(targets):
        chosen = pairs.is_pair[number]
        found = {
            cell: (kind, *corners)
            for cell, kind, corners in zip(
                pairs.cells[number][chosen].tolist(),
                pairs.classes[number][chosen].tolist(),
                pairs.corners[number][chosen].tolist(),
                strict=True,
            )
        }
        assert len(found) == int(chosen.sum()), "no cell answers for two boxes"
        assert found == {cell: tuple(rows[box].tolist()) for cell, box in naive(rows).items()}


def test_the_order_of_boxes_and_paddings_between_them_change_nothing() -> None:
    targets = random_targets(1, 10, 1)
    shuffled = torch.cat([targets.flip(1), torch.full((1, 3, 5), -1.0)], dim=1)
    found = []
    for rows in (targets, shuffled):
        pairs = assign(rows, CELLS)
        kept = pairs.is_pair[0]
        cells, order = pairs.cells[0][kept].sort()
        found.append((cells.tolist(), pairs.corners[0][kept][order].tolist(), pairs.is_used.tolist()))
    assert found[0] == found[1]


def test_a_box_smaller_than_a_cell_has_one_cell() -> None:
    pairs = assign(torch.tensor([[[1.0, 17, 17, 18, 18]]]), CELLS)
    assert pairs.cells[pairs.is_pair].tolist() == [2 * 16 + 2]


def test_a_picture_without_boxes_has_no_pairs() -> None:
    for targets in (torch.zeros(2, 0, 5), torch.full((2, 3, 5), -1.0)):
        pairs = assign(targets, CELLS)
        assert not pairs.is_pair.any()
        assert pairs.is_used.all()


def test_cells_in_ignored_regions_are_not_used_unless_they_have_a_box() -> None:
    region, box = [-2.0, 0, 0, 32, 32], [0.0, 3, 3, 21, 21]
    pairs = assign(torch.tensor([[region, box]]), CELLS)
    fine = pairs.is_used[0, : 16 * 12].reshape(12, 16)
    assert fine[:4, :4].sum() == 9  # the middles of 3 x 3 cells are inside the box
    assert fine.sum() == 16 * 12 - 16 + 9
    assert not pairs.is_used[0, 16 * 12]  # the first cell of stride 16
    inside = ignored_points(torch.tensor([[region]]), torch.tensor([[31.9, 5], [32.1, 5]]))
    assert inside.tolist() == [[True, False]]


def test_larger_boxes_belong_on_coarser_levels() -> None:
    boxes = torch.tensor([[0.0, 0, side, 10] for side in (20, 128, 129, 256, 257, 1000, 5000)])
    assert levels_for(boxes, CELLS.level_strides).tolist() == [0, 0, 1, 1, 2, 3, 3]
