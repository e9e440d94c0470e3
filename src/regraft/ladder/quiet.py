"""A reporter for trials, whose automatic choices are not shown."""

from __future__ import annotations

from regraft.progress import Reporter, Silent


class Quiet(Silent):
    """Forwards progress bars and warnings, and drops notes and automatic choices."""

    def __init__(self, reporter: Reporter) -> None:
        self.phase = reporter.phase  # type: ignore[method-assign]
        self.warn = reporter.warn  # type: ignore[method-assign]
