"""How much of a solve is done, in hundredths, shown by a meter."""

from __future__ import annotations

from collections.abc import Callable

from regraft.progress import Meter, Silent

HUNDREDTHS = 100


class Gauge:
    """Counts the parts of a solve on a meter of a hundred.

    Args:
        meter: a meter with a total of 100; None shows nothing.
        parts: number of parts of equal length.
    """

    def __init__(self, meter: Meter | None = None, parts: int = 1) -> None:
        self._meter, self._parts = meter or Silent(), max(1, parts)
        self._finished, self._shown = 0, 0

    def within(self, share: float) -> None:
        """A share of the current part is done."""
        done = int(HUNDREDTHS * min(self._finished + min(max(share, 0.0), 1.0), self._parts) / self._parts)
        if done > self._shown:
            self._meter.advance(done - self._shown)
            self._shown = done

    def finish(self, parts: int = 1) -> None:
        """Some more parts are done, or were not needed."""
        self._finished += parts
        self.within(0.0)

    def end(self) -> None:
        """Everything is done."""
        self.finish(self._parts - self._finished)

    def part(self, parts: int = 1) -> Gauge:
        """A gauge for the current part, which consists of parts of its own."""
        return Gauge(_Within(self.within), parts)


class _Within:
    """A meter of a hundred that moves another gauge within its current part."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell, self._done = tell, 0

    def advance(self, count: int = 1) -> None:
        self._done += count
        self._tell(self._done / HUNDREDTHS)
