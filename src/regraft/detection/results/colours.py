"""Colours of classes that people can tell apart, colour-blind ones too, on any ground.

All colours are bright (relative luminance from 0.4) and lines have black edges: on grounds with a luminance
from 0.1 the edge has a contrast of at least 3, on darker ones the colour has. That is what WCAG 2.2 (1.4.11)
asks of graphics. Black text on a colour has a contrast of at least 9.

The colours were chosen to be far apart in CIELAB, as seen and as simulated for each kind of colour blindness
(Machado, Oliveira and Fernandes 2009, severity 1): any two differ by at least 22. From the ninth class on
they are used again with broken lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PALETTE = ("#00cc00", "#cc99ff", "#ddffbb", "#ff99bb", "#00ffff", "#99bb77", "#99ff00", "#ffdd77")
"""Neighbours differ most at the beginning, so that a few classes are easiest to tell apart."""
_DASHES: tuple[tuple[int, int] | None, ...] = (None, (6, 4), (2, 2))


@dataclass(frozen=True)
class Style:
    """How the boxes of a class are drawn."""

    colour: str
    """As `#rrggbb`."""
    dashes: tuple[int, int] | None = None
    """Length of the dashes and of the gaps, in widths of the line; None for a solid line."""


def styles_of(labels: Sequence[str]) -> dict[str, Style]:
    """The style of each class, by its place; there are 24 different ones.

    >>> styles_of(["cat", "dog"])["dog"].colour
    '#cc99ff'
    """
    count = len(PALETTE)
    return {
        label: Style(PALETTE[number % count], _DASHES[number // count % len(_DASHES)])
        for number, label in enumerate(labels)
    }
