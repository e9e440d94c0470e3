"""Ctrl-C and SIGTERM during training wait until the current step is complete."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN_S = 5.0
"""Launchers pass on a Ctrl-C that the terminal has sent to all processes: so soon, it is the same one."""


class AbruptEnd(KeyboardInterrupt):
    """A signal that was obeyed in the middle of a step, whose state is not worth keeping."""


class Interruption:
    """Delays the first Ctrl-C or SIGTERM within a step to the step's end; a second one acts immediately.

    Args:
        is_shared: whether several processes train together: then a signal takes effect when all know of it,
            as said by `agree`, and only in a section in which the others wait it does so at once.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self._is_shared, self._inside, self._others_wait = is_shared, False, False
        self._pending: int | None = None
        self._agreed: int | None = None
        self._since = 0.0

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals within this context; outside the main thread (Python forbids it) do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: list[Any] = [signal.signal(number, self._handle) for number in SIGNALS]
        try:
            yield
        finally:
            for number, handler in zip(SIGNALS, before, strict=True):
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        is_held = self._inside or (self._is_shared and not self._others_wait)
        if not is_held:
            obey(number)
        if self._pending is None:
            self._pending, self._since = number, time.monotonic()
        elif not self._is_shared or time.monotonic() - self._since > _AGAIN_S:
            raise AbruptEnd

    @property
    def missed(self) -> int | None:
        """A signal that came after the last step of several processes; None if there was none."""
        return self._pending

    @property
    def wishes(self) -> list[float]:
        """For each of `SIGNALS`, 1 if it waits to be obeyed, as the processes add them up."""
        return [float(number == self._pending) for number in SIGNALS]

    def agree(self, sums: list[float]) -> None:
        """Learn which signals have come to any process; obeyed after the section that is held back."""
        if self._is_shared:
            self._agreed = next((number for number, count in zip(SIGNALS, sums, strict=True) if count), None)

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """A section that is not interrupted; a signal that arrives meanwhile takes effect at its end."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
        due = self._agreed if self._is_shared else self._pending
        if due is not None:
            self._pending = self._agreed = None
            obey(due)

    @contextmanager
    def while_others_wait(self, is_so: bool) -> Iterator[None]:
        """A section that a signal interrupts at once, if no other process waits for a step of this one."""
        self._others_wait = is_so
        try:
            if is_so and self._is_shared and self._pending is not None:
                number, self._pending = self._pending, None
                obey(number)
            yield
        finally:
            self._others_wait = False


def obey(number: int) -> None:
    """Raise what a signal means."""
    if number == signal.SIGTERM:
        raise SystemExit(128 + number)
    raise KeyboardInterrupt
