"""An experiment that needs no network, whose numbers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regraft.lab.results.experiment import Arm, Choices, Experiment, Paper, Step
from regraft.lab.results.figures import Figure, interval_bars
from regraft.lab.results.results import Results
from regraft.lab.results.rows import Row, Value
from regraft.progress import Reporter

HOSTILE = "<script>alert(1)</script>"


@dataclass
class Counted:
    """A subject that notes what was measured."""

    about: str = f"numbers {HOSTILE}"
    facts: Mapping[str, Any] = field(default_factory=lambda: {"pictures": "none"})
    most_seeds: int | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)
    stop_at: int | None = None

    def measure(self, arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        if self.stop_at == len(self.asked):
            raise KeyboardInterrupt
        self.asked.append((arm, seed))
        value = (1.0 if arm == "slow" else 0.5) + 0.01 * seed
        return (Value(measure="share", value=value / 2, unit="share", low=0.1, high=0.9),)


def figures(results: Results) -> Sequence[Figure]:
    rows = [(arm, results.estimate(arm, "share")) for arm in results.arms]
    return [interval_bars("shares", f"Shares {HOSTILE}", "share, %", rows)]


def example(subject: Counted) -> Experiment:
    return Experiment(
        name="example",
        title="An example",
        question="Which is slow?",
        topic="examples",
        minutes=1,
        seeds=3,
        version=1,
        arms=(Arm("slow", "it takes long"), Arm("fast", "it does not")),
        papers=(Paper("It was slow.", "Nobody 2000"),),
        prepare=lambda choices, reporter: subject,
        figures=figures,
        findings=lambda results: [f"{len(results.seeds)} draws {HOSTILE}"],
        next_steps=lambda results, choices, most: [Step("more", "lab example")],
    )


CHOICES = Choices()


def rows_of(values: Mapping[str, Mapping[str, Sequence[float]]]) -> Results:
    """Results of arms and measures with a value for each draw."""
    rows = []
    for arm, measures in values.items():
        draws = len(next(iter(measures.values())))
        for seed in range(draws):
            own = tuple(Value(measure=name, value=all_[seed], unit="x") for name, all_ in measures.items())
            rows.append(Row(experiment="x", arm=arm, seed=seed, values=own, seconds=1.0))
    return Results("x", tuple(rows))
