"""The operations of a stage as a picture: boxes in columns, branches in rows, shortcuts past them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from regraft.reports.architecture.wiring import ENTRY, Block, Operation

_BOX, _GAP, _ROW, _HEIGHT, _TOP = 128, 30, 66, 50, 34
_MOST_ROWS, _MOST_OPERATIONS = 8, 40
_JOIN = 15  # radius of the circle where values meet
Cell = tuple[int, int]
"""A column and a row; column 0 is the block's input."""
Edge = tuple[int, int]
"""The places of two operations."""


@dataclass(frozen=True)
class Layout:
    """Where the operations of a block are, and in which row each line that passes others runs."""

    cells: dict[int, Cell]
    passing: dict[Edge, int]

    @property
    def columns(self) -> int:
        """The number of columns, without that of the input."""
        return max(column for column, _ in self.cells.values())

    @property
    def rows(self) -> int:
        """The number of rows."""
        return 1 + max([*(row for _, row in self.cells.values()), *self.passing.values()])


def layout(block: Block) -> Layout:
    """Columns by the longest path from the block's input, rows by branch.

    >>> add = Operation("+", (1,), (ENTRY, 0))
    >>> layout(Block((Operation("a", (1,), (ENTRY,)), add))).passing
    {(-1, 1): 1}
    """
    cells: dict[int, Cell] = {ENTRY: (0, 0)}
    taken: set[Cell] = set()

    def free(row: int, columns: range) -> int:
        while any((column, row) in taken for column in columns):
            row += 1
        return row

    for place, one in enumerate(block.operations):
        column = 1 + max(cells[n][0] for n in one.inputs)
        first = min(one.inputs)
        start = 0 if one.is_join else cells[first][1]
        row = free(start, range(column if one.is_join else cells[first][0] + 1, column + 1))
        cells[place] = (column, row)
        taken.add((column, row))
    passing: dict[Edge, int] = {}
    for place, one in enumerate(block.operations):
        for n in one.inputs:
            between = range(cells[n][0] + 1, cells[place][0])
            if between:
                passing[n, place] = free(cells[n][1], between)
                taken.update((column, passing[n, place]) for column in between)
    return Layout(cells, passing)


def drawn(blocks: Sequence[Block], *, name: str) -> Markup:
    """The picture of a stage; empty if there is nothing to draw, or too much of it.

    Args:
        blocks: the blocks of the stage.
        name: the stage's name, for screen readers.
    """
    layouts = [layout(block) for block in blocks]
    rows = max((one.rows for one in layouts), default=0)
    count = sum(len(block.operations) for block in blocks)
    if not 0 < rows <= _MOST_ROWS or count > _MOST_OPERATIONS:
        return Markup("")
    work = max((one.multiply_adds for block in blocks for one in block.operations), default=0)
    marks: list[str] = []
    x = 10
    for block, places in zip(blocks, layouts, strict=True):
        marks += _block(block, places, x, work)
        x += places.columns * (_BOX + _GAP) + _GAP
    height = _TOP + rows * _ROW
    return Markup(  # noqa: S704 (all words are escaped)
        f'<svg class="wiring" width="{x}" height="{height}" viewBox="0 0 {x} {height}" role="img" '
        f'aria-label="{escape(f"{name}: {in_words(blocks)}")}">{"".join(marks)}</svg>'
    )


def in_words(blocks: Sequence[Block]) -> str:
    """The blocks in words.

    >>> in_words([Block((Operation("1 × 1 conv", (8, 4, 4), (ENTRY,)),), times=2)])
    '2 times: 1 × 1 conv to 8 × 4 × 4'
    """
    return "; ".join(
        (f"{block.times} times" if block.times > 1 else "then" if place else "first")
        + (f", {block.about}" if block.about else "")
        + ": "
        + ", ".join(f"{one.label} to {_sides(one)}" for one in block.operations)
        for place, block in enumerate(blocks)
    )


def _block(block: Block, places: Layout, x: int, work: int) -> list[str]:
    """The lines and boxes of a block whose input is at `x`."""
    right = x + places.columns * (_BOX + _GAP) + _GAP
    words = ", ".join(filter(None, [f"{block.times} times" if block.times > 1 else "", block.about]))
    marks = []
    if words:
        width, height = right - x - 16, places.rows * _ROW
        marks.append(
            f'<rect class="frame" x="{x + 8}" y="{_TOP - 6}" width="{width}" height="{height}" rx="6"/>'
            f'<text class="label" x="{x + 10}" y="20">{escape(words)}</text>'
        )
    for place, one in enumerate(block.operations):
        marks += [_wire(block, places, (n, place), x) for n in one.inputs]
    last = len(block.operations) - 1
    marks.append(f'<path class="wire" d="M{_out(block, places, last, x)} H{right}"/>')
    return [*marks, *(_box(one, places.cells[place], x, work) for place, one in enumerate(block.operations))]


def _wire(block: Block, places: Layout, edge: Edge, x: int) -> str:
    """A line between two operations, past those in between."""
    start, end = edge
    target = block.operations[end]
    column, row = places.cells[end]
    inset = _BOX // 2 - _JOIN if target.is_join else 0
    goal = f"{_left(column, x) + inset} {_middle(row)}"
    path = f"M{_out(block, places, start, x)}"
    is_shortcut = target.label == "+" and (start == ENTRY or edge in places.passing)
    kind = "wire shortcut" if is_shortcut else "wire"
    if edge in places.passing:
        y = _middle(places.passing[edge])
        first, last = _left(places.cells[start][0] + 1, x), _left(column - 1, x) + _BOX
        path += f" {_bend(places, start, x, f'{first} {y}')} H{last} {_curve(last, y, goal)}"
    else:
        path += f" {_bend(places, start, x, goal)}"
    return f'<path class="{kind}" d="{path}"/>'


def _bend(places: Layout, start: int, x: int, goal: str) -> str:
    column, row = places.cells[start]
    here = x if start == ENTRY else _left(column, x) + _BOX
    return f"H{here} {_curve(here, _middle(row), goal)}"


def _curve(x: float, y: float, goal: str) -> str:
    to_x, to_y = (float(one) for one in goal.split())
    half = (x + to_x) / 2
    return f"C{half:g} {y:g} {half:g} {to_y:g} {to_x:g} {to_y:g}"


def _box(one: Operation, cell: Cell, x: int, work: int) -> str:
    column, row = cell
    left, y = _left(column, x), _middle(row)
    middle = left + _BOX / 2
    told = f"{one.label}: output {_sides(one)}"
    if one.parameters:
        told += f", {one.parameters:,} parameters, {amount(one.multiply_adds)} multiply-adds"
    if one.is_join and len(one.label) <= 6:
        size = "" if len(one.label) == 1 else ' class="tick"'
        return (
            f'<g><title>{escape(told)}</title><ellipse class="join" cx="{middle:g}" cy="{y}" '
            f'rx="{_JOIN if len(one.label) == 1 else 24}" ry="{_JOIN}"/>'
            f'<text{size} x="{middle:g}" y="{y + 4}" text-anchor="middle">{escape(one.label)}</text></g>'
        )
    share = one.multiply_adds / work if work else 0.0
    lines = [one.label, _sides(one), amount(one.multiply_adds) if one.multiply_adds else ""]
    shown = [line for line in lines if line]
    top = y - 15 * (len(shown) - 1) / 2 + 4
    words = "".join(
        f'<text class="{"label" if not n else "tick"}" x="{middle:g}" y="{top + 15 * n:g}" '
        f'text-anchor="middle">{escape(line)}</text>'
        for n, line in enumerate(shown)
    )
    return (
        f'<g><title>{escape(told)}</title><rect class="operation" x="{left}" y="{y - _HEIGHT // 2}" '
        f'width="{_BOX}" height="{_HEIGHT}" rx="5"/><rect class="column" x="{left}" y="{y - _HEIGHT // 2}" '
        f'width="{_BOX}" height="{_HEIGHT}" rx="5" fill-opacity="{0.3 * math.sqrt(share):.3f}"/>{words}</g>'
    )


def _out(block: Block, places: Layout, place: int, x: int) -> str:
    """Where the line that leaves an operation begins."""
    column, row = places.cells[place]
    if place == ENTRY:
        return f"{x} {_middle(row)}"
    is_round = block.operations[place].is_join and len(block.operations[place].label) <= 6
    return f"{_left(column, x) + _BOX - (_BOX // 2 - _JOIN if is_round else 0)} {_middle(row)}"


def _left(column: int, x: int) -> int:
    """The left edge of the boxes of a column."""
    return x + _GAP + (column - 1) * (_BOX + _GAP)


def _middle(row: int) -> int:
    return _TOP + _ROW * row + _ROW // 2 - 6


def amount(count: int) -> str:
    """A count to one decimal, in thousands (k), millions (M) or thousands of millions (G).

    >>> [amount(one) for one in (420, 48_120, 115_605_504, 15_470_264_320)]
    ['420', '48.1 k', '115.6 M', '15.5 G']
    """
    size, unit = next(((s, u) for s, u in ((1e9, " G"), (1e6, " M"), (1e3, " k")) if count >= s), (1, ""))
    return f"{count / size:,.1f}{unit}" if unit else str(count)


def _sides(one: Operation) -> str:
    return " × ".join(map(str, one.shape))
