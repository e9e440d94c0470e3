"""Ctrl-C and SIGTERM during training wait until the current step is complete."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interruption:
    """Delays the first Ctrl-C or SIGTERM within a step to the step's end; a second one acts immediately."""

    def __init__(self) -> None:
        self._inside = False
        self._pending: int | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals within this context; outside the main thread (Python forbids it) do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before: list[Any] = [signal.signal(number, self._handle) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._inside and self._pending is None:
            self._pending = number
        else:
            _obey(number)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """A section that is not interrupted; a signal that arrives meanwhile takes effect at its end."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
        if self._pending is not None:
            number, self._pending = self._pending, None
            _obey(number)


def _obey(number: int) -> None:
    if number == signal.SIGTERM:
        raise SystemExit(128 + number)
    raise KeyboardInterrupt
