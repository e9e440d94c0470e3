"""Figures of experiments: horizontal bars and intervals as SVG, each with the table of its numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from regraft.records import Estimate
from regraft.reports.charts import ticks

KINDS = ("main", "second", "third", "fourth", "fifth", "faint")
"""Names of colours in the pages' style, in the order in which parts get them."""
_WIDTH, _EDGE, _ROW, _TOP, _BOTTOM = 480, 10, 46, 4, 44
_STYLE = """
svg { --ink: #1c1f23; --soft: #59616b; --grid: #e6e8eb; --main: #0b62a8; --second: #b4530a; --third: #7a3fa0;
  --good: #1a7a3c; --pink: #b8156f; background: #ffffff; font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ink: #e8eaed; --soft: #a3acb6; --grid: #2b3138; --main: #6db5f2;
  --second: #f0a35e; --third: #c79be6; --good: #6cc98a; --pink: #ff8fc8; background: #1b1f24; } }
[hidden] { display: none; } .band { opacity: .16; }
text { fill: var(--soft); } .label, .note { fill: var(--ink); } .grid { stroke: var(--grid); }
.axis { stroke: var(--soft); fill: none; } .interval { stroke: var(--main); stroke-width: 3; opacity: .55; }
.main { fill: var(--main); } .second { fill: var(--second); } .third { fill: var(--third); }
.faint { fill: var(--soft); } .fourth { fill: var(--good); } .fifth { fill: var(--pink); }
.line { fill: none; stroke: var(--main); stroke-width: 2; } .second.line { stroke: var(--second); }
.third.line { stroke: var(--third); } .faint.line { stroke: var(--soft); stroke-dasharray: 4 4; }
.fourth.line { stroke: var(--good); stroke-dasharray: 9 3; }
.fifth.line { stroke: var(--pink); stroke-dasharray: 2 3; }
"""


@dataclass(frozen=True)
class Figure:
    """A picture of some numbers, and the same numbers as a table."""

    name: str
    """Name of its file, without the ending."""
    title: str
    svg: str
    """The picture; colours are classes of the pages' style."""
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """How to read it, in a sentence."""
    key: tuple[tuple[str, str], ...] = ()
    """The colours as `(kind, meaning)`."""
    frames: tuple[str, ...] = ()
    """What a slider says at each of its positions; at position N, parts with `data-frame="N"` are shown."""
    slider: str = ""
    """What the slider changes."""

    @property
    def standalone(self) -> bytes:
        """The picture as a file of its own, with its colours for light and dark, and what they mean."""
        opened = self.svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        head, rest = opened.split(">", 1)
        sides = re.search(r'viewBox="0 0 (\d+) (\d+)"', head)
        assert sides is not None
        width, height = (int(side) for side in sides.groups())
        marks, bottom = _legend(self.key, width, height, has_lines='class="line' in self.svg)
        head = head.replace(sides[0], f'viewBox="0 0 {width} {bottom}"')
        return f"{head}><style>{_STYLE}</style>{rest.removesuffix('</svg>')}{marks}</svg>\n".encode()


def stacked_bars(
    name: str,
    title: str,
    unit: str,
    rows: Sequence[tuple[str, Sequence[Estimate]]],
    parts: Sequence[str],
    *,
    note: str = "",
) -> Figure:
    """A bar for each row, divided into its parts.

    Args:
        name: name of the figure's file.
        title: what it shows.
        unit: unit of all numbers.
        rows: a name and the values of its parts, at least 0, in the order of `parts`.
        parts: what the parts are, at most four.
        note: how to read it.

    >>> figure = stacked_bars("t", "Time", "s", [("A", [Estimate(value=1), Estimate(value=3)])], ["x", "y"])
    >>> figure.rows
    (('A', '1.00', '3.00', '4.00'),)
    """
    totals = [sum(part.value for part in values) for _, values in rows]
    top = max([*totals, 1e-9]) * 1.02
    marks = []
    for number, (label, values) in enumerate(rows):
        marks.append(_heading(number, label, f"{plain(totals[number])} {unit}"))
        edges = [0.0]
        for part in values:
            edges.append(edges[-1] + part.value)
        for place, (left, right) in enumerate(pairwise(edges)):
            x, width = _x(left, top), _x(right, top) - _x(left, top)
            said = f"{label}, {parts[place]}: {plain(values[place].value)} {unit}"
            marks.append(
                f'<rect class="column {KINDS[place]}" x="{x:.1f}" y="{_row(number) + 18}" '
                f'width="{max(width, 0):.2f}" height="20"><title>{escape(said)}</title></rect>'
            )
    table = tuple(
        (label, *(written(part) for part in values), plain(total))
        for (label, values), total in zip(rows, totals, strict=True)
    )
    return Figure(
        name,
        title,
        _svg(title, title.lower(), len(rows), top, marks),
        ("", *(f"{part}, {unit}" for part in parts), f"together, {unit}"),
        table,
        note,
        tuple(zip(KINDS, parts, strict=False)),
    )


def interval_bars(
    name: str,
    title: str,
    label: str,
    rows: Sequence[tuple[str, Estimate]],
    *,
    top: float = 1.0,
    note: str = "",
    form: Callable[[Estimate], str] | None = None,
) -> Figure:
    """A point with its 95 % interval for each row, on one axis from 0; shares are shown in per cent.

    Args:
        name: name of the figure's file.
        title: what it shows.
        label: what the axis shows, with its unit.
        rows: a name and its value.
        top: the end of the axis.
        note: how to read it.
        form: how a value is written in the table; None means as a share in per cent.
    """
    form, marks = form or share, []
    for number, (who, one) in enumerate(rows):
        low, high = (one.value if bound is None else bound for bound in (one.low, one.high))
        y, ends = _row(number) + 28, [_x(min(max(bound, 0.0), top), top) for bound in (low, high)]
        marks += [
            _heading(number, who, form(one)),
            f'<path class="interval wide" d="M{ends[0]:.1f} {y}H{ends[1]:.1f}"/>',
            f'<circle class="dot main" cx="{_x(min(max(one.value, 0.0), top), top):.1f}" cy="{y}" r="4.5">'
            f"<title>{escape(f'{who}: {form(one)}')}</title></circle>",
        ]
    times = 100.0 if form is share else 1.0
    return Figure(
        name,
        title,
        _svg(title, label, len(rows), top, marks, times),
        ("", f"{label} [95 %]"),
        tuple((who, form(one)) for who, one in rows),
        note,
    )


def share(one: Estimate) -> str:
    """A share in per cent with its interval, within 0 and 100.

    >>> share(Estimate(value=0.5, low=-0.1, high=0.7)), share(Estimate(value=0.5))
    ('50.0 [0.0, 70.0]', '50.0')
    """
    if one.low is None or one.high is None:
        return f"{100 * one.value:.1f}"
    return f"{100 * one.value:.1f} [{100 * max(0.0, one.low):.1f}, {100 * min(1.0, one.high):.1f}]"


def written(one: Estimate) -> str:
    """A positive number with its interval, to three figures.

    >>> written(Estimate(value=12.34, low=-1.0, high=250.4)), written(Estimate(value=0.0123))
    ('12.3 [0, 250]', '0.0123')
    """
    if one.low is None or one.high is None:
        return plain(one.value)
    return f"{plain(one.value)} [{plain(max(0.0, one.low))}, {plain(one.high)}]"


def signed(one: Estimate) -> str:
    """A number of either sign with its interval, to three figures.

    >>> signed(Estimate(value=-1.5, low=-2.0, high=0.0)), signed(Estimate(value=0.25, low=0.25, high=0.2501))
    ('-1.50 [-2.00, 0]', '0.250')
    """
    if one.low is None or one.high is None or plain(one.low) == plain(one.high):
        return plain(one.value)
    return f"{plain(one.value)} [{plain(one.low)}, {plain(one.high)}]"


def plain(value: float) -> str:
    """A number to three figures.

    >>> [plain(one) for one in (0, 0.01234, 1.0, 12.34, 1234.5)]
    ['0', '0.0123', '1.00', '12.3', '1,234']
    """
    if value == 0:
        return "0"
    digits = max(0, 2 - len(str(int(abs(value)))) + 1) if abs(value) >= 1 else None
    return f"{value:,.{digits}f}" if digits is not None else f"{value:#.3g}"


def _legend(key: Sequence[tuple[str, str]], width: int, top: int, *, has_lines: bool) -> tuple[str, int]:
    """The meaning of the colours below a picture, and where it ends."""
    marks, x, y = [], _EDGE, top + 14
    for kind, meaning in key:
        length = 34 + 7 * len(meaning)
        if x > _EDGE and x + length > width:
            x, y = _EDGE, y + 18
        line = f'<path class="line {kind}" d="M{x} {y - 4}h22"/>'
        marks.append(line if has_lines else f'<circle class="dot {kind}" cx="{x + 11}" cy="{y - 4}" r="5"/>')
        marks.append(f'<text class="label" x="{x + 28}" y="{y}">{escape(meaning)}</text>')
        x += length
    return "".join(marks), y + 8 if key else top


def _row(number: int) -> int:
    return _TOP + _ROW * number


def _x(value: float, top: float) -> float:
    return _EDGE + (_WIDTH - 2 * _EDGE) * value / top


def _heading(number: int, words: str, figures: str) -> str:
    y = _row(number) + 13
    return (
        f'<text class="label" x="{_EDGE}" y="{y}">{escape(words)}</text>'
        f'<text class="note" x="{_WIDTH - _EDGE}" y="{y}" text-anchor="end">{escape(figures)}</text>'
    )


def _svg(title: str, label: str, rows: int, top: float, marks: Sequence[str], times: float = 1.0) -> str:
    end = _row(rows) + 2
    height = end + _BOTTOM - 4
    parts = [
        f'<svg class="chart bars" width="{_WIDTH}" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}; the table below has its numbers">'
    ]
    for value in ticks(0.0, top * times):
        x = _x(value / times, top)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{end}"/>')
        anchor = "end" if x > _WIDTH - 2 * _EDGE else "middle"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{end + 15}" text-anchor="{anchor}">{value:g}</text>')
    parts.append(f'<path class="axis" d="M{_EDGE} {end}H{_WIDTH - _EDGE}"/>')
    where = f'x="{_WIDTH / 2:.0f}" y="{height - 6}" text-anchor="middle"'
    parts.append(f'<text class="label" {where}>{escape(label)}</text>')
    return "".join([*parts, *marks, "</svg>"])
