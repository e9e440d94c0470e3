"""A reporter for trials: their automatic choices are nobody's concern."""

from __future__ import annotations

from regraft.progress import Reporter, Silent


class Quiet(Silent):
    """Passes bars and warnings on, and keeps notes and choices to itself."""

    def __init__(self, reporter: Reporter) -> None:
        self.phase = reporter.phase  # type: ignore[method-assign]
        self.warn = reporter.warn  # type: ignore[method-assign]
