"""Plots as SVG, PNG or PDF files; the only module that imports matplotlib."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.errors import SettingsError
from regraft.storage.files import write_atomically

GENERATOR = "regraft"
"""The name under which plots say who has drawn them."""
FORMATS = (".svg", ".png", ".pdf")
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe & Ito 2008
_MARKS = ("o", "s", "^", "D", "v")


@dataclass(frozen=True)
class Axes:
    """Title, axis labels and scales of a plot."""

    title: str
    x: str
    y: str
    is_log_x: bool = False
    is_log_y: bool = False
    is_from_zero: bool = False
    """Whether the y axis starts at 0, so that heights can be compared."""


def line_plot(
    path: Path,
    axes: Axes,
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    marked_x: float | None = None,
) -> Path:
    """Draw lines and write them to a file; returns its path.

    Args:
        path: the file to write; it ends in `.svg`, `.png` or `.pdf`.
        axes: title, axis labels and scales.
        lines: x and y values of each line, by its name.
        marked_x: position of a vertical line; None draws none.

    Raises:
        SettingsError: the file has another extension.
    """
    plot = _empty(path)
    for number, (name, (x, y)) in enumerate(lines.items()):
        plot.plot(x, y, label=name, color=_COLOURS[number % len(_COLOURS)], linewidth=1.8)
    if marked_x is not None:
        plot.axvline(marked_x, color="grey", linestyle="--", linewidth=1)
    return _written(path, plot, axes, has_legend=len(lines) > 1)


def point_plot(
    path: Path,
    axes: Axes,
    groups: Mapping[str, Sequence[tuple[float, float, str]]],
    *,
    joined: Collection[str] | None = None,
    is_stepped: bool = False,
) -> Path:
    """Draw groups of named points, joined by lines in their order, and write a file; returns its path.

    Args:
        path: the file to write; it ends in `.svg`, `.png` or `.pdf`.
        axes: title, axis labels and scales.
        groups: `(x, y, name)` of each point, by the group's name.
        joined: the groups whose points are joined; None joins those of all groups.
        is_stepped: whether the lines are steps, for values that stay until a better one is found.

    Raises:
        SettingsError: the file has another extension.
    """
    plot = _empty(path, size=(9, 6))
    for number, (group, points) in enumerate(groups.items()):
        x, y = [point[0] for point in points], [point[1] for point in points]
        colour, mark = _COLOURS[number % len(_COLOURS)], _MARKS[number % len(_MARKS)]
        line = "-" if joined is None or group in joined else ""
        style = "steps-post" if is_stepped else "default"
        plot.plot(x, y, mark + line, label=group, color=colour, linewidth=1, markersize=5, drawstyle=style)
        below = -9 if number % 2 else 4  # keeps the names of neighbouring groups apart
        for across, up, name in points:
            plot.annotate(name, (across, up), xytext=(5, below), textcoords="offset points", fontsize=6.5)
    return _written(path, plot, axes, has_legend=len(groups) > 1)


def _empty(path: Path, *, size: tuple[float, float] = (7, 4)) -> Any:
    if path.suffix not in FORMATS:
        raise SettingsError(f"can't draw to {path}: accepted are {', '.join(FORMATS)}")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)  # needs neither a window nor a display
    return figure.add_subplot()


def _written(path: Path, plot: Any, axes: Axes, *, has_legend: bool) -> Path:
    from matplotlib import rc_context

    plot.set(title=axes.title, xlabel=axes.x, ylabel=axes.y)
    plot.set_xscale("log" if axes.is_log_x else "linear")
    plot.set_yscale("log" if axes.is_log_y else "linear")
    if axes.is_from_zero:
        plot.set_ylim(bottom=0)
    plot.grid(alpha=0.3)
    if has_legend:
        plot.legend(frameon=False, fontsize="small")
    for side in ("top", "right"):
        plot.spines[side].set_visible(False)
    buffer = io.BytesIO()
    facts: dict[str, dict[str, Any]] = {  # without times, so that the same plot gives the same file
        ".svg": {"Date": None, "Creator": GENERATOR},
        ".png": {"Software": GENERATOR},
        ".pdf": {"CreationDate": None, "Creator": GENERATOR},
    }
    with rc_context({"svg.hashsalt": "regraft"}):
        plot.figure.savefig(buffer, format=path.suffix[1:], dpi=120, metadata=facts[path.suffix])
    write_atomically(path, buffer.getvalue())
    return path
