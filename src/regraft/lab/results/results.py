"""What an experiment measured: tidy rows, and the estimates that they allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from regraft.evaluation.scores import mean_interval
from regraft.lab.results.rows import Row, Value
from regraft.records import Estimate
from regraft.storage.tables import csv_bytes

COLUMNS = ("experiment", "arm", "seed", "measure", "value", "low", "high", "unit")
"""The columns of the table of tidy rows."""


@dataclass(frozen=True)
class Results:
    """The rows of all arms and draws.

    >>> rows = [Row(experiment="x", arm=arm, seed=seed, seconds=1,
    ...             values=[Value(measure="time", value=one, unit="s")])
    ...         for arm, pair in {"slow": (4.0, 4.4), "fast": (1.0, 1.1)}.items()
    ...         for seed, one in enumerate(pair)]
    >>> results = Results("x", tuple(rows))
    >>> ratio = results.ratio("slow", "fast", "time")
    >>> round(results.estimate("slow", "time").value, 6), round(ratio.value, 6)
    (4.2, 4.0)
    """

    experiment: str
    rows: tuple[Row, ...]

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """The arms that have rows, in the order in which they were measured."""
        return tuple(dict.fromkeys(row.arm for row in self.rows))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The draws on which every arm was measured; estimates use only these."""
        by_arm = [{row.seed for row in self.rows if row.arm == arm} for arm in self.arms]
        return tuple(sorted(set.intersection(*by_arm))) if by_arm else ()

    def values(self, arm: str, measure: str) -> list[Value]:
        """The values of a measure on each draw that every arm has, in order."""
        by_seed = {row.seed: row for row in self.rows if row.arm == arm}
        return [one for seed in self.seeds for one in by_seed[seed].values if one.measure == measure]

    def measures(self, arm: str) -> list[str]:
        """The names of what was measured on an arm, in order."""
        rows = [row for row in self.rows if row.arm == arm and row.seed in self.seeds]
        return [one.measure for one in rows[0].values] if rows else []

    def series(self, arm: str, start: str) -> list[tuple[float, Estimate]]:
        """The measures of an arm whose names are a start and a number, as `(number, estimate)`."""
        ends = [(one.removeprefix(start), one) for one in self.measures(arm) if one.startswith(start)]
        return [(float(end), self.estimate(arm, one)) for end, one in ends if _is_number(end)]

    def estimate(self, arm: str, measure: str) -> Estimate:
        """The mean over the draws with its interval; of a single draw, its interval over test pictures.

        Raises:
            KeyError: the arm has no such measure.
        """
        values = self.values(arm, measure)
        if not values:
            raise KeyError(f"{arm} has no measure {measure}")
        if len(values) == 1:
            return Estimate(value=values[0].value, low=values[0].low, high=values[0].high)
        return mean_interval([one.value for one in values])

    def log10(self, arm: str, measure: str) -> Estimate:
        """The mean over the draws of the logarithm to base 10, with its interval; 0 counts as 1e-30."""
        return mean_interval([float(np.log10(max(one.value, 1e-30))) for one in self.values(arm, measure)])

    def difference(self, arm: str, other: str, measure: str) -> Estimate:
        """The mean of the draws' differences between two arms; a single draw has no bounds."""
        ones, others = self.values(arm, measure), self.values(other, measure)
        return mean_interval([one.value - two.value for one, two in zip(ones, others, strict=True)])

    def within(self, arm: str, measure: str, other: str) -> Estimate:
        """The mean of the draws' differences between two measures of one arm; a single draw has no bounds."""
        ones, others = self.values(arm, measure), self.values(arm, other)
        return mean_interval([one.value - two.value for one, two in zip(ones, others, strict=True)])

    def ratio(self, arm: str, other: str, measure: str) -> Estimate:
        """How many times as large a positive measure is: the geometric mean over draws, with its interval."""
        ones, others = self.values(arm, measure), self.values(other, measure)
        logs = [float(np.log(one.value / two.value)) for one, two in zip(ones, others, strict=True)]
        mean = mean_interval(logs)
        bounds = (None if bound is None else float(np.exp(bound)) for bound in (mean.low, mean.high))
        return Estimate(value=float(np.exp(mean.value)), **dict(zip(("low", "high"), bounds, strict=True)))

    def tidy(self) -> list[tuple[Any, ...]]:
        """One tuple for each number, in the order of `COLUMNS`."""
        return [
            (self.experiment, row.arm, row.seed, one.measure, one.value, one.low, one.high, one.unit)
            for row in self.rows
            for one in row.values
        ]

    def csv(self) -> bytes:
        """The tidy rows as a CSV file."""
        return csv_bytes(COLUMNS, self.tidy())

    def table(self) -> Any:
        """The tidy rows as a `pyarrow.Table`."""
        import pyarrow as pa

        rows = self.tidy()
        kinds = (pa.string(), pa.string(), pa.int64(), pa.string(), *[pa.float64()] * 3, pa.string())
        columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [[] for _ in COLUMNS]
        return pa.table(
            {name: pa.array(column, kind) for name, column, kind in zip(COLUMNS, columns, kinds, strict=True)}
        )


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-").replace(".", "", 1).isdigit()
