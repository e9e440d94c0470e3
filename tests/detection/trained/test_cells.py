from __future__ import annotations

import pytest
import torch

from regraft.detection.trained.cells import Cells, shapes_of
from tests.detection.trained.examples import levels_of


@pytest.mark.parametrize(
    ("strides", "expected"),
    [((8, 16, 32), [8, 16, 32, 64]), ((8, 16), [8, 16, 32, 64]), ((8,), [8, 16, 32, 64]), ((32,), [32, 64])],
    ids=str,
)
def test_levels_are_added_up_to_stride_64(strides: tuple[int, ...], expected: list[int]) -> None:
    assert [shape.stride for shape in shapes_of(levels_of(strides))] == expected


def test_each_cell_is_where_it_looks() -> None:
    cells = Cells(shapes_of(levels_of((16, 32))))
    assert cells.count == 8 * 6 + 4 * 3 + 2 * 2
    assert cells.centres[8 + 3].tolist() == [3.5 * 16, 1.5 * 16]
    assert cells.centres[48 + 4].tolist() == [16, 48]
    assert cells.strides.tolist() == [16] * 48 + [32] * 12 + [64] * 4


def test_maps_are_put_together_in_the_order_of_cells() -> None:
    cells = Cells(shapes_of(levels_of((16, 32))))
    maps = [torch.zeros(1, 2, 6, 8), torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 2, 2)]
    maps[0][0, 1, 2, 5] = 7
    maps[1][0, 0, 1, 3] = 9
    together = cells.together(maps)
    assert together.shape == (1, cells.count, 2)
    assert together.nonzero().tolist() == [[0, 2 * 8 + 5, 1], [0, 48 + 4 + 3, 0]]


def test_cells_around_a_middle() -> None:
    cells = Cells(shapes_of(levels_of((16, 32))))
    box = torch.tensor([[50.0, 30, 60, 50]])  # its middle is in column 3, row 2 of stride 16
    near = cells.around(box, torch.tensor([0]), radius=1)
    assert near[0, 0] == 2 * 8 + 3
    assert sorted(near[0].tolist()) == sorted(8 * y + x for y in (1, 2, 3) for x in (2, 3, 4))


def test_cells_around_a_corner_of_the_canvas_are_fewer() -> None:
    cells = Cells(shapes_of(levels_of((16, 32))))
    near = cells.around(torch.tensor([[300.0, 300, 400, 400]]), torch.tensor([1]), radius=1)
    assert near[0, 0] == 48 + 2 * 4 + 3  # the last cell of stride 32
    assert sorted(near[0].tolist()) == [-1] * 5 + sorted(48 + 4 * y + x for y in (1, 2) for x in (2, 3))
