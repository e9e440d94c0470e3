"""Tasks for other processes, as data: a process that reads one computes the same bits, or refuses."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import ValidationError

from regraft.data.pictures.guards import LoadLimits
from regraft.data.pictures.views import ViewPolicy
from regraft.errors import ExecutionError, MachineError
from regraft.networks.weights.finding import Weights
from regraft.records import InputSpec, Precision, Recipe, Record, Sha256, WeightsSource
from regraft.version import VERSION


class Task(Record):
    """What all tasks say: where they are carried out, and what the rows' bits depend on there.

    A task holds no code: registered networks, files with their hashes, and settings.
    """

    what: ClassVar[str] = "work"
    """What the task is called in messages."""
    unless: ClassVar[str] = "--mixed-machines"
    """How rows of machines that differ are accepted."""

    version: str
    """The version of Regraft."""
    runtime: Literal["openvino", "torch"]
    precision: Precision
    device: str
    threads: int | None
    """Number of threads that run the network; None means one for each core."""
    max_megapixels: float
    max_file_mb: float
    width: int
    """Number of values in a row."""
    facts: dict[str, Any]
    """What the rows' bits depend on besides the image, as the process found it that wrote the task."""

    @property
    def limits(self) -> LoadLimits:
        """The loader's limits."""
        return LoadLimits(self.max_megapixels, self.max_file_mb)

    def to_json(self) -> str:
        """The task as one line of JSON, for `read_task`."""
        return json.dumps(self.model_dump(mode="json"))

    def check(self, facts: Mapping[str, Any], *, where: str) -> None:
        """Compare a worker's facts with those that the task expects.

        Args:
            facts: what rows depend on there.
            where: what the worker is called in the message.

        Raises:
            MachineError: rows would have other bits.
        """
        if self.version != VERSION:
            raise MachineError(
                f"{where} has regraft {VERSION}, and the work was begun with regraft {self.version}; install "
                "the same version on all machines"
            )
        if differing := differences(self.facts, facts):
            listed = "; ".join(f"{name}: expected {old}, found {new}" for name, old, new in differing)
            raise MachineError(
                f"{where} would compute rows with other bits ({listed}). Use machines of one kind with the "
                f"same libraries, or accept rows that differ in their last digits with {self.unless}"
            )


class ExtractionTask(Task):
    """How one network's rows are computed: all that a process needs besides the images."""

    what: ClassVar[str] = "a task of feature extraction"
    unless: ClassVar[str] = "`regraft extract --mixed-machines`"

    network: str
    weights: str
    """Path of the weights file, which every worker must be able to read."""
    weights_sha256: Sha256
    recipe: Recipe
    network_input: InputSpec
    """The input that the network is built for."""
    input: InputSpec
    """The input that images are made into."""
    cut: int | Literal["maps"] | None
    """After how many stages the network ends; None for the pooled features of all stages."""
    output: Literal["rows", "moments"]
    views: ViewPolicy | None = None
    """How the views of an image are made, for activations; each shard says which view of its images is
    wanted. None for features, which see the centre."""

    def found_weights(self) -> Weights:
        """The weights, which are read once to compare their hash when the network is opened."""
        source = WeightsSource(where=self.weights, sha256=self.weights_sha256, licence="as accepted before")
        path = Path(self.weights)
        return Weights(self.network, path, self.weights_sha256, self.recipe, self.network_input, source)


_Kind = TypeVar("_Kind", bound=Task)


def read_task(text: str, kind: type[_Kind]) -> _Kind:
    """The task that `Task.to_json` has written.

    Args:
        text: one line of JSON.
        kind: the kind of task.

    Raises:
        ExecutionError: the text is not such a task.
    """
    try:
        return kind.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise ExecutionError(f"this is not {kind.what}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the text"
        raise ExecutionError(f"this is not {kind.what}: {place}: {first['msg']}") from error


def absolute(path: str | os.PathLike[str]) -> str:
    """A path that means the same in processes that work in other folders; links are kept."""
    return os.path.abspath(path)


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The facts that differ, each with both values as JSON.

    >>> differences({"cpu": "A", "threads": 2}, {"cpu": "B", "threads": 2})
    [('cpu', '"A"', '"B"')]
    """
    names = sorted({*expected, *found})
    rows = [(name, _text(expected, name), _text(found, name)) for name in names]
    return [row for row in rows if row[1] != row[2]]


def _text(facts: Mapping[str, Any], name: str) -> str:
    return json.dumps(facts[name], sort_keys=True) if name in facts else "nothing"
