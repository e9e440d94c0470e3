"""The time of a ladder: what rungs took and were predicted to take, as recorded by the first such fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from regraft.ladder.costs.predictions import Predictions
from regraft.ladder.ledger import Ledger


@dataclass
class Timing:
    """What the work of a rung took."""

    is_new: bool
    """Whether it was done for the first time; otherwise `took_s` is what the first time took."""
    took_s: float = 0.0
    processor_s: float = 0.0
    """Processor seconds of this process, this time."""


@dataclass
class Stopwatch:
    """Counts the seconds of a ladder, with the times of the first fit of its kind in place of its own.

    Args:
        ledger: recorded times, by which rungs are chosen.
        clock: reads seconds; rungs are timed by it.
    """

    ledger: Ledger
    clock: Callable[[], float] = time.perf_counter
    elapsed_s: float = 0.0
    predictions: Predictions = field(default_factory=Predictions)
    _mark: float = 0.0
    """What the clock showed when the last rung ended."""

    def start(self, spent_s: float) -> None:
        """Begin with the seconds spent before the first rung."""
        self.elapsed_s = self.remembered("start", "spent_s", spent_s)
        self._mark = self.clock()

    @contextmanager
    def timed(self, rung: str, *, kind: str = "", predicted_s: float = 0.0) -> Iterator[Timing]:
        """Time the work of a rung, which is done within the context; the result is complete at its end.

        The time since the rung before counts as spent, too.

        Args:
            rung: name of the rung.
            kind: the kind of work, whose next predictions are corrected; empty if nothing was predicted.
            predicted_s: the prediction, with the correction that it was made with.
        """
        timing = Timing(is_new=self.ledger.recall(rung, "took_s") is None)
        started, used = self.clock(), time.process_time()
        yield timing
        ended = self.clock()
        timing.processor_s = time.process_time() - used
        timing.took_s = self.remembered(rung, "took_s", ended - started)
        self.elapsed_s += self.remembered(rung, "passed_s", ended - self._mark)
        self._mark = ended
        if kind:
            self.predictions.note(kind, predicted_s / self.predictions.factor(kind), timing.took_s)

    def predicted(self, rung: str, seconds: float, kind: str = "") -> float:
        """The seconds that were predicted for a rung when it was first considered.

        Args:
            rung: name of the rung.
            seconds: the prediction from amounts and rates.
            kind: the kind of work; its rungs before this one correct the prediction.
        """
        factor = self.predictions.factor(kind) if kind else 1.0
        return self.remembered(rung, "predicted_s", seconds * factor)

    def remembered(self, rung: str, what: str, seconds: float, *, digits: int = 3) -> float:
        """The recorded seconds; if there are none, record these, rounded as they will be read back."""
        known: float | None = self.ledger.recall(rung, what)
        if known is None:
            known = round(seconds, digits)
            self.ledger.note(rung, **{what: known})
        return known
