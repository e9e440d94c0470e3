"""Figures of experiments: curves with intervals, matrices of shades, and what a slider shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape

from regraft.lab.results.figures import KINDS, Figure, share, signed
from regraft.records import Estimate
from regraft.reports.charts import Chart

Curve = tuple[str, Sequence[tuple[float, Estimate]]]
"""A name and its points, `(x, y)`."""
_CELL, _LINE, _NAMES = 76, 24, 225
_PER_CENT = 100.0


def curves(
    name: str,
    title: str,
    labels: tuple[str, str],
    lines: Sequence[Curve],
    *,
    note: str = "",
    times: float = 1.0,
    slider: str = "",
    x_names: Sequence[str] = (),
    y_range: tuple[float, float] | None = None,
) -> Figure:
    """A curve for each line, with bands of 95 % intervals.

    Args:
        name: name of the figure's file.
        title: what it shows.
        labels: labels of the axes, with their units.
        lines: at most six; all have the same x values.
        note: how to read it.
        times: factor of all y values: 100 for shares in per cent, whose intervals end at 0 and 100.
        slider: what x is, as "epoch", if a slider is to move over it.
        x_names: names of x = 0, 1, 2, ... instead of numbers.
        y_range: ends of the y axis; None means that it ends where the values do.

    >>> points = [(1, Estimate(value=2.0)), (2, Estimate(value=1))]
    >>> figure = curves("c", "Loss", ("step", "loss"), [("a", points)])
    >>> figure.rows
    (('1', '2.00'), ('2', '1.00'))
    """
    if times == _PER_CENT:
        lines = [(who, [(x, _within(one)) for x, one in points]) for who, points in lines]
    values = [bound * times for _, points in lines for _, one in points for bound in _bounds(one)]
    places = [x for _, points in lines for x, _ in points] or [0.0]
    low, high = y_range or (min([*values, 0.0]), max([*values, 1e-9]))
    chart = Chart(
        f"{title}; the table has its numbers",
        *labels,
        (min(places), max(places)),
        (low, high),
        x_names=x_names,
    )
    for kind, (_, points) in zip(KINDS, lines, strict=False):
        if any(one.low is not None for _, one in points):
            chart.band([(x, times * _bounds(one)[0], times * _bounds(one)[1]) for x, one in points], kind)
    for kind, (who, points) in zip(KINDS, lines, strict=False):
        chart.line([(x, times * one.value) for x, one in points], kind)
        for x, one in points:
            where = x_names[int(x)] if x_names else f"{x:g}"
            chart.dot(
                x, times * one.value, kind, f"{who}, {labels[0]} {where}: {_written(one, times)}", radius=2.4
            )
    at = list(dict.fromkeys(places))
    known = [dict(points) for _, points in lines]
    frames = []
    for number, x in enumerate(at if slider else ()):
        chart.marks.append(
            f'<path class="axis" data-frame="{number}" hidden="" '
            f'd="M{chart.x(x)} {chart.y(high)} V{chart.y(low)}"/>'
        )
        shown = [
            f"{who} {_written(own[x], times)}" for (who, _), own in zip(lines, known, strict=True) if x in own
        ]
        frames.append(f"{slider} {x:g}: {'; '.join(shown)}")
    rows = tuple(
        (
            x_names[int(x)] if x_names else f"{x:g}",
            *(_written(own[x], times) if x in own else "–" for own in known),
        )
        for x in at
    )
    names = tuple(who for who, _ in lines)
    key = tuple(zip(KINDS, names, strict=False))
    return Figure(name, title, str(chart.svg), (labels[0], *names), rows, note, key, tuple(frames), slider)


def layers_by_step(
    name: str,
    title: str,
    labels: tuple[str, str],
    steps: Mapping[str, Sequence[Curve]],
    *,
    note: str = "",
) -> Figure:
    """Curves over layers, of which a slider shows those of one step; the first step is shown at the start.

    Args:
        name: name of the figure's file.
        title: what it shows.
        labels: labels of the axes, with their units.
        steps: the curves of each step, at most six; all have the same x values.
        note: how to read it.
    """
    every = [point for lines in steps.values() for _, points in lines for point in points]
    places = [x for x, _ in every] or [0.0]
    values = [one.value for _, one in every] or [0.0]
    empty = Chart(title, *labels, (min(places), max(places)), (min(values), max(values)))
    marks, frames, rows = [], [], []
    for number, (step, lines) in enumerate(steps.items()):
        chart = replace(empty, marks=[])
        for kind, (who, points) in zip(KINDS, lines, strict=False):
            chart.line([(x, one.value) for x, one in points], kind)
            for x, one in points:
                chart.dot(
                    x, one.value, kind, f"{who}, step {step}, {labels[0]} {x:g}: {signed(one)}", radius=2.6
                )
            rows.append((f"step {step}, {who}", *(signed(one) for _, one in points)))
        hidden = ' hidden=""' if number else ""
        marks.append(f'<g data-frame="{number}"{hidden}>{"".join(chart.marks)}</g>')
        frames.append(f"step {step}")
    whole = replace(empty, title=f"{title}; the table has its numbers", marks=marks)
    names = [who for who, _ in next(iter(steps.values()), ())]
    header = ("", *(f"{labels[0]} {x:g}" for x in dict.fromkeys(places)))
    key = tuple(zip(KINDS, names, strict=False))
    return Figure(name, title, str(whole.svg), header, tuple(rows), note, key, tuple(frames), "step")


def shades(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Estimate]]],
    *,
    note: str = "",
    form: Callable[[Estimate], str] | None = None,
    strength: Callable[[float], float],
    width: int = _CELL,
) -> Figure:
    """A matrix whose cells are the darker the stronger they are, with their numbers.

    Args:
        name: name of the figure's file.
        title: what it shows.
        columns: names of the columns.
        rows: a name and its values, one for each column.
        note: how to read it.
        form: how a value is written in the table; None means as a number with its interval.
        strength: the shade of a value, from 0 to 1.
        width: width of a column in pixels.
    """
    form = form or signed
    whole, height = _NAMES + width * len(columns), _LINE * (len(rows) + 1) + 4
    marks = [
        f'<svg class="chart" width="{whole}" viewBox="0 0 {whole} {height}" role="img" '
        f'aria-label="{escape(title)}; the table has its numbers">'
    ]
    for place, column in enumerate(columns):
        x = _NAMES + width * place + width / 2
        marks.append(f'<text class="tick" x="{x:.0f}" y="16" text-anchor="middle">{escape(column)}</text>')
    for number, (who, values) in enumerate(rows):
        y = _LINE * (number + 1)
        marks.append(f'<text class="label" x="0" y="{y + 16}">{escape(who)}</text>')
        for place, one in enumerate(values):
            x, shade = _NAMES + width * place, min(1.0, max(0.0, strength(one.value)))
            said = f"{who}, {columns[place]}: {form(one)}"
            marks.append(
                f'<rect class="column" x="{x}" y="{y}" width="{width - 2}" height="{_LINE - 2}" '
                f'fill-opacity="{0.05 + 0.45 * shade:.3f}"><title>{escape(said)}</title></rect>'
                f'<text class="note" x="{x + width / 2 - 1:.0f}" y="{y + 15}" text-anchor="middle">'
                f"{escape(_short(one.value))}</text>"
            )
    table = tuple((who, *(form(one) for one in values)) for who, values in rows)
    return Figure(name, title, "".join([*marks, "</svg>"]), ("", *columns), table, note)


def _bounds(one: Estimate) -> tuple[float, float]:
    return (one.value if one.low is None else one.low, one.value if one.high is None else one.high)


def _times(one: Estimate, times: float) -> Estimate:
    low, high = (None if bound is None else times * bound for bound in (one.low, one.high))
    return Estimate(value=times * one.value, low=low, high=high)


def _within(one: Estimate) -> Estimate:
    """A share whose interval ends at 0 and 1."""
    low, high = (None if bound is None else min(1.0, max(0.0, bound)) for bound in (one.low, one.high))
    return Estimate(value=one.value, low=low, high=high)


def _written(one: Estimate, times: float) -> str:
    return share(one) if times == _PER_CENT else signed(_times(one, times))


def _short(number: float) -> str:
    return f"{number:.2g}" if abs(number) < 100 else f"{number:.0f}"
