"""How a long job reports its progress: the interface `Reporter`, and an implementation that does nothing.

Every layer can be given a `Reporter`; only `cli` shows one on the screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Meter(Protocol):
    """Counts the finished items of one phase."""

    def advance(self, count: int = 1) -> None:
        """Report that `count` more items are done."""


class Reporter(Protocol):
    """Receives the progress, notes, warnings and decisions of a job, in order."""

    @contextmanager
    def phase(self, name: str, total: int, unit: str = "images") -> Iterator[Meter]:
        """Begin a phase of `total` items; the meter counts them."""
        yield Silent()

    def note(self, text: str) -> None:
        """Report one line of information."""

    def warn(self, text: str) -> None:
        """Report one line that the user should not miss."""

    def decided(self, what: str, because: str, override: str) -> None:
        """Report one automatic choice: `decided WHAT because WHY (override with FLAG)`."""


class Silent:
    """A reporter and meter that prints nothing: the default in Python."""

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


class WithoutNotes(Silent):
    """Forwards progress bars and warnings, and drops notes and automatic choices."""

    def __init__(self, reporter: Reporter) -> None:
        self.phase = reporter.phase  # type: ignore[method-assign]
        self.warn = reporter.warn  # type: ignore[method-assign]
