"""What an experiment is: a question, the arms that answer it, and sentences for every possible result."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from regraft.features.runtimes import RuntimeName
from regraft.lab.results.figures import Figure
from regraft.lab.results.results import Results
from regraft.lab.results.rows import Value
from regraft.progress import Reporter


@dataclass(frozen=True)
class Choices:
    """What a user chooses about an experiment."""

    data: str | None = None
    """Path of the data; None means pictures that the experiment makes."""
    network: str = "tf_efficientnet_lite0"
    """Name of the pretrained network."""
    weights: str | None = None
    """Where its weights are, as for `find_weights`."""
    runtime: RuntimeName = "auto"
    """Library that computes the network."""
    is_quick: bool = False
    """Whether to use fewer pictures: minutes become seconds, and intervals become wide."""

    def command(self, name: str, *, seeds: int | None = None) -> str:
        """What one types after `regraft` for an experiment with these choices.

        >>> Choices(data="my cells", is_quick=True).command("rcnn", seeds=2)
        "lab rcnn --data 'my cells' --quick --seeds 2"
        """
        usual, words = Choices(), ["lab", name]
        for field in ("data", "network", "weights", "runtime"):
            value = getattr(self, field)
            words += [f"--{field}", str(value)] if value != getattr(usual, field) else []
        words += ["--quick"] if self.is_quick else []
        return shlex.join([*words, *([] if seeds is None else ["--seeds", str(seeds)])])


@dataclass(frozen=True)
class Arm:
    """One of the things that are compared."""

    name: str
    about: str
    """How it works, in one sentence."""


@dataclass(frozen=True)
class Paper:
    """What a paper found, and where it says so."""

    found: str
    source: str


@dataclass(frozen=True)
class Step:
    """Something to try next."""

    why: str
    command: str
    """Everything after `regraft`."""


@dataclass(frozen=True)
class Extra:
    """A further page of an experiment."""

    file: str
    """Its name in the experiment's folder."""
    about: str
    """What it shows, in a sentence."""


class Subject(Protocol):
    """What is measured: data and network, opened once for all arms and seeds."""

    about: str
    """What the data is, in one sentence."""
    facts: Mapping[str, Any]
    """Everything that a measurement depends on besides arm and seed, as JSON values."""
    most_seeds: int | None
    """How many independent draws the data has; None for as many as wanted."""

    def measure(self, arm: str, seed: int, reporter: Reporter) -> tuple[Value, ...]:
        """Measure one arm on one draw; equal arguments give equal values, apart from times."""


@dataclass(frozen=True)
class Experiment:
    """An experiment: everything that the runner and the page need to know of it."""

    name: str
    """What users type."""
    title: str
    question: str
    topic: str
    """The part of a lecture that it belongs to."""
    minutes: float
    """About how long it takes on two cores with the default settings."""
    seeds: int
    """The number of draws by default."""
    version: int
    """Raised whenever the meaning of a measurement changes: earlier rows are not used any more then."""
    arms: tuple[Arm, ...]
    papers: tuple[Paper, ...]
    prepare: Callable[[Choices, Reporter], Subject]
    figures: Callable[[Results], Sequence[Figure]]
    findings: Callable[[Results], Sequence[str]]
    """Sentences about the result, none of which claims more than its interval shows."""
    next_steps: Callable[[Results, Choices, int | None], Sequence[Step]]
    """What to try next, from the results, the choices and the number of draws that the data has."""
    quick_seeds: int = 3
    """The number of draws with `--quick`."""
    more: Callable[[Choices, Path, Reporter], Sequence[Extra]] | None = None
    """Writes further pages into a folder, unless they are there, and names them."""
