"""The time that each unit of work takes on this machine, kept in the cache and corrected by every run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from regraft.errors import StorageError
from regraft.machine.load import slowness
from regraft.machine.processor import count_cores, machine_facts
from regraft.records import Record
from regraft.storage.files import key_of, read_json, write_json
from regraft.storage.places import cache_folder

# Seconds per unit on an idle machine where nothing has been measured; the first measurement replaces them.
_FIRST_GUESSES = {
    "ridge": 6e-11,
    "softmax": 2.2e-6,
    "kernel": 7.5e-11,
    "profile": 1.3e-10,
    "convert": 4.0,
    "open": 2.0,
    "import": 6.0,
    "matrix": 0.1,
    "step": 1.5,
    "classics": 0.0025,
    "words": 0.05,
}
_DAY_S = 86_400.0


class Rate(Record):
    """How long one unit of work takes, and under which load this was measured."""

    processor_s: float
    """Processor seconds of one unit, which other programs hardly change."""
    cores: float
    """Cores that the work keeps busy on an idle machine: processor seconds for each second that passes."""
    measured_at: float
    """When this was measured last, in seconds since 1970."""


class CostBook:
    """Seconds that each unit of work takes on this machine, measured once and corrected by every run.

    A rate is kept in processor seconds, so that a measurement on a busy machine does not make the same work
    look slow for ever. Predictions are made for the present load: `processor_s / cores * slowness`.
    The values are kept in the cache, in one small file per processor model and number of cores.

    Args:
        folder: folder of the file; None means the cache.
        load: the present slowness of the machine; 1 where it is idle (`load.slowness`).
        now: reads the seconds since 1970, by which old measurements count less.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        load: Callable[[], float] = slowness,
        now: Callable[[], float] = time.time,
    ) -> None:
        place = folder or cache_folder() / "costs"
        self._path = place / f"{key_of(machine_facts())[:16]}.json"
        self._load, self._now, self._slow = load, now, 0.0
        try:
            rates = read_json(self._path)["rates"]
            self._known = {name: Rate.model_validate(rate) for name, rate in rates.items()}
        except (StorageError, AttributeError, KeyError, TypeError, ValueError):
            self._known = {}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    @property
    def slow(self) -> float:
        """How many times longer work takes than on an idle machine, as measured last."""
        return self._slow or self.look()

    def look(self) -> float:
        """Measure the load, which takes a quarter of a second."""
        self._slow = self._load()
        return self._slow

    def observe(self, seconds: float, processor_s: float, cores: float) -> None:
        """Learn the present load from work that was done anyway.

        Args:
            seconds: seconds that passed.
            processor_s: processor seconds that the work was given.
            cores: cores that the work keeps busy on an idle machine.
        """
        if seconds <= 0 or processor_s <= 0:
            return
        seen = max(1.0, seconds * min(cores, count_cores()) / processor_s)
        self._slow = (self._slow * seen) ** 0.5 if self._slow else seen

    def seconds(self, name: str) -> float:
        """Seconds that one unit takes under the present load; from a first guess before it was measured."""
        known = self.known(name)
        return _FIRST_GUESSES.get(name, 0.0) * self.slow if known is None else known

    def known(self, name: str) -> float | None:
        """Seconds that one unit takes under the present load; None if it was never measured here."""
        rate = self._known.get(name)
        return None if rate is None else rate.processor_s / rate.cores * self.slow

    def quiet(self, name: str) -> float:
        """Seconds that one unit would take on an idle machine."""
        return self.seconds(name) / self.slow

    def age_s(self, name: str) -> float:
        """Seconds since a rate was measured; infinite if it never was."""
        rate = self._known.get(name)
        return float("inf") if rate is None else max(0.0, self._now() - rate.measured_at)

    def learn(
        self, name: str, seconds: float, processor_s: float | None = None, *, is_final: bool = False
    ) -> None:
        """Record what one unit took just now.

        The first measurement is taken as it is. Later ones are averaged in (geometric mean), and what was
        known before counts half as much for every day since it was measured.

        Args:
            name: the kind of work.
            seconds: seconds that passed.
            processor_s: processor seconds; None where they are unknown, for example in other processes.
            is_final: whether this replaces what was known, because it was measured to check it.
        """
        if seconds <= 0:
            return
        old = self._known.get(name)
        if old is not None and processor_s:
            self.observe(seconds, processor_s, old.cores)
        slow = self.slow
        used = processor_s if processor_s else seconds / slow
        cores = min(max(used * slow / seconds, 0.1), float(count_cores()))
        if old is not None and not is_final:
            share = 0.5 ** (1 + self.age_s(name) / _DAY_S)
            used = old.processor_s**share * used ** (1 - share)
            cores = old.cores**share * cores ** (1 - share)
        self._known[name] = Rate(processor_s=used, cores=cores, measured_at=self._now())
        rates = {name: rate.model_dump() for name, rate in sorted(self._known.items())}
        write_json(self._path, {"machine": machine_facts(), "rates": rates})
