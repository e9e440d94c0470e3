"""Results whose numbers are given by hand, for any measure that a sentence or a figure may ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from regraft.lab.experiments.catalogue import EXPERIMENTS
from regraft.lab.results.results import Results
from regraft.lab.results.rows import Row, Value

USUAL = 0.5


@dataclass(frozen=True)
class Made(Results):
    """Every measure is 0.5 on every draw, but for what is given."""

    given: Mapping[tuple[str, str], Sequence[float]] = field(default_factory=dict)
    names: Sequence[str] = ()

    def values(self, arm: str, measure: str) -> list[Value]:
        numbers = self.given.get((arm, measure), [USUAL] * len(self.seeds))
        return [Value(measure=measure, value=one, unit="x") for one in numbers]

    def measures(self, arm: str) -> list[str]:
        return list(self.names)


def made(
    name: str, given: Mapping[tuple[str, str], Sequence[float]], *, draws: int = 3, names: Sequence[str] = ()
) -> Made:
    """Results of the experiment of a name."""
    rows = tuple(
        Row(experiment=name, arm=arm.name, seed=seed, values=(), seconds=1.0)
        for arm in EXPERIMENTS[name].arms
        for seed in range(draws)
    )
    return Made(name, rows, given, names)
