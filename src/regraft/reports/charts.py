"""Small SVG charts for pages; colours come from the page's style, so they follow light and dark mode.

Charts are not interactive; marks have a `<title>`, which browsers show and screen readers read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

_LEFT, _RIGHT, _TOP = 66, 14, 10


@dataclass
class Chart:
    """A chart with two axes, to which marks are added; `svg` is the picture.

    Args:
        title: what screen readers read in place of the picture.
        x_label: label of the x axis, with its unit.
        y_label: label of the y axis, with its unit.
        x_range: `(low, high)`.
        y_range: `(low, high)`.
        is_log: whether the x axis is logarithmic.
    """

    title: str
    x_label: str
    y_label: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    width: int = 640
    height: int = 300
    is_log: bool = False
    x_names: Sequence[str] = ()
    """Names to show at x = 0, 1, 2, ... instead of numbers."""
    marks: list[str] = field(default_factory=list)

    @property
    def _bottom(self) -> float:
        """Space below the x axis, which depends on the length of its names."""
        longest = max((len(name) for name in self.x_names), default=0)
        return 44 + (3.2 * longest if self._is_crowded else 0)

    @property
    def _is_crowded(self) -> bool:
        return max((len(name) for name in self.x_names), default=0) * len(self.x_names) > 80

    def __post_init__(self) -> None:
        self.x_range, self.y_range = _widened(self.x_range), _widened(self.y_range)

    def x(self, value: float) -> float:
        """Pixels from the left edge."""
        low, high = self.x_range
        if self.is_log:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, 1e-30))
        share = (value - low) / (high - low)
        return round(_LEFT + share * (self.width - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        """Pixels from the top edge."""
        low, high = self.y_range
        share = (min(max(value, low), high) - low) / (high - low)
        return round(self.height - self._bottom - share * (self.height - _TOP - self._bottom), 1)

    def line(self, points: Iterable[tuple[float, float]], kind: str, *, is_stepped: bool = False) -> None:
        """Add a line through points; `kind` is its class in the style sheet."""
        placed = [(self.x(x), self.y(y)) for x, y in points]
        steps = [f"H{x} V{y}" if is_stepped else f"L{x} {y}" for x, y in placed[1:]]
        if placed:
            path = f"M{placed[0][0]} {placed[0][1]} {' '.join(steps)}"
            self.marks.append(f'<path class="line {kind}" d="{path}"/>')

    def band(self, points: Iterable[tuple[float, float, float]], kind: str) -> None:
        """Add an area between two lines, from points `(x, low, high)`."""
        placed = [(self.x(x), self.y(low), self.y(high)) for x, low, high in points]
        if placed:
            there = " ".join(f"{x} {high}" for x, _, high in placed)
            back = " ".join(f"{x} {low}" for x, low, _ in reversed(placed))
            self.marks.append(f'<path class="band {kind}" d="M{there} L{back}Z"/>')

    def dot(self, x: float, y: float, kind: str, said: str, *, radius: float = 4) -> None:
        """Add a point that shows a text when the mouse is over it."""
        self.marks.append(
            f'<circle class="dot {kind}" cx="{self.x(x)}" cy="{self.y(y)}" r="{radius:g}">'
            f"<title>{escape(said)}</title></circle>"
        )

    def interval(self, x: float, low: float, high: float, kind: str) -> None:
        """Add a vertical line that shows an interval."""
        self.marks.append(f'<path class="interval {kind}" d="M{self.x(x)} {self.y(low)} V{self.y(high)}"/>')

    def column(self, x: float, y: float, kind: str, said: str, *, width_px: float) -> None:
        """Add a bar that rises from the x axis."""
        left, top, bottom = self.x(x) - width_px / 2, self.y(y), self.y(self.y_range[0])
        self.marks.append(
            f'<rect class="column {kind}" x="{left:.1f}" y="{top}" width="{width_px:.1f}" '
            f'height="{max(bottom - top, 0):.1f}"><title>{escape(said)}</title></rect>'
        )

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", dy: float = -7) -> None:
        """Add a short text at a point."""
        self.marks.append(
            f'<text class="note" x="{self.x(x)}" y="{self.y(y) + dy:.1f}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    @property
    def svg(self) -> Markup:
        """The chart as SVG."""
        bottom, right = self.height - self._bottom, self.width - _RIGHT
        parts = [
            f'<svg class="chart" width="{self.width}" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.title)}">'
        ]
        for value in ticks(*self.y_range):
            at = self.y(value)
            parts.append(f'<path class="grid" d="M{_LEFT} {at} H{right}"/>')
            parts.append(
                f'<text class="tick" x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{value:g}</text>'
            )
        parts += self._x_ticks(bottom)
        parts.append(f'<path class="axis" d="M{_LEFT} {_TOP} V{bottom} H{right}"/>')
        middle = (_LEFT + right) / 2
        parts.append(
            f'<text class="label" x="{middle:.0f}" y="{self.height - 6}" text-anchor="middle">'
            f"{escape(self.x_label)}</text>"
        )
        across = (_TOP + bottom) / 2
        parts.append(
            f'<text class="label" transform="translate(14 {across:.0f}) rotate(-90)" text-anchor="middle">'
            f"{escape(self.y_label)}</text>"
        )
        return Markup("".join([*parts, *self.marks, "</svg>"]))  # noqa: S704 (all words are escaped)

    def _x_ticks(self, bottom: float) -> list[str]:
        if self.x_names:
            step = max(1, math.ceil(len(self.x_names) / 16))
            places = [(float(n), name) for n, name in enumerate(self.x_names) if n % step == 0]
        elif self.is_log:
            low, high = (math.log10(bound) for bound in self.x_range)
            places = [(10.0**n, f"{10.0**n:g}") for n in range(math.ceil(low), math.floor(high) + 1)]
        else:
            places = [(value, f"{value:g}") for value in ticks(*self.x_range)]
        is_long = self._is_crowded
        drawn = []
        for value, name in places:
            at = self.x(value)
            turn = f' transform="rotate(-28 {at} {bottom + 14})"' if is_long else ""
            where = f'x="{at}" y="{bottom + 16}" text-anchor="{"end" if is_long else "middle"}"{turn}'
            drawn.append(f'<text class="tick" {where}>{escape(name)}</text>')
        return drawn


def ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Round numbers between two bounds, at distances of 1, 2 or 5 times a power of ten.

    >>> ticks(0, 1), ticks(83, 97)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [85.0, 90.0, 95.0])
    """
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if raw <= power * factor * 1.0001)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(step * number, 10) for number in range(first, last + 1)]


def _widened(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    return (low, high) if high > low else (low - 0.5, low + 0.5)
