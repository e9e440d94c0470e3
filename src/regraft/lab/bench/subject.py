"""What an experiment measures on data in memory, from a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from regraft.lab.results.experiment import Choices, Step
from regraft.lab.results.results import Results
from regraft.lab.results.rows import Value
from regraft.progress import Reporter


@dataclass
class Bench:
    """A subject whose measurements are a function of arm and seed."""

    about: str
    facts: Mapping[str, Any]
    measured: Callable[[str, int, Reporter], tuple[Value, ...]]
    most_seeds: int | None = None

    def measure(self, arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        """Measure one arm on one draw."""
        return self.measured(arm, seed, reporter)


def value(measure: str, number: float, unit: str = "share") -> Value:
    """A measured number."""
    return Value(measure=measure, value=float(number), unit=unit)


def steps_of(name: str, *others: Step) -> Callable[[Results, Choices, int | None], tuple[Step, ...]]:
    """What to try next: twice as many draws, the full size after a quick run, then the others."""

    def next_steps(results: Results, choices: Choices, most_seeds: int | None) -> tuple[Step, ...]:
        more = min(2 * len(results.seeds), most_seeds or 100)
        own = Step("narrower intervals; what was measured is kept", choices.command(name, seeds=more))
        usual = f"lab {name}"
        full = Step("the same with more images and longer trainings", usual) if choices.is_quick else None
        return (*((own,) if more > len(results.seeds) else ()), *((full,) if full else ()), *others)

    return next_steps
