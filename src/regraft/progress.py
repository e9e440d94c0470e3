"""What a long job tells whoever watches it: one small contract, and the watcher that says nothing.

Every layer may be handed a `Reporter`; only `cli` knows how to draw one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Meter(Protocol):
    """Counts the items of one phase."""

    def advance(self, count: int = 1) -> None:
        """Say that `count` more items are done."""


class Reporter(Protocol):
    """Receives what a job has to say, in order."""

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "images") -> Iterator[Meter]:
        """A phase of `total` items; the meter counts them."""
        yield Silent()

    def note(self, text: str) -> None:
        """One line of information."""

    def warn(self, text: str) -> None:
        """One line that the user should not miss."""

    def decided(self, what: str, because: str, override: str) -> None:
        """One automatic choice: `decided WHAT because WHY (override with FLAG)`."""


class Silent:
    """A reporter and meter that says nothing: the default in Python."""

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "images") -> Iterator[Meter]:
        yield self

    def advance(self, count: int = 1) -> None:
        return None

    def note(self, text: str) -> None:
        return None

    def warn(self, text: str) -> None:
        return None

    def decided(self, what: str, because: str, override: str) -> None:
        return None


def duration(seconds: float | None) -> str:
    """A time as people read it; a dash where there is none.

    >>> [duration(one) for one in (0, 0.34, 8, 75, 150, 300, 840, 7560)]
    ['0 s', '0.3 s', '8 s', '75 s', '2.5 min', '5 min', '14 min', '2.1 h']
    >>> duration(None)
    '–'
    """
    if seconds is None:
        return "–"
    unit, size = next((unit, size) for unit, size, limit in _UNITS if seconds < limit)
    amount = seconds / size
    return f"{amount:.1f}".removesuffix(".0") + f" {unit}" if amount < 10 else f"{amount:.0f} {unit}"


_UNITS = (("s", 1, 120), ("min", 60, 7200), ("h", 3600, float("inf")))
