"""What a fit will do (`Plan`) and what was done (`Run`)."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import tomli_w
from pydantic import ValidationError

from regraft import storage
from regraft.errors import SettingsError
from regraft.records import (
    Granularity,
    HeadKind,
    Precision,
    Record,
    Sha256,
    Statistic,
    Strategy,
    WeightsSource,
)
from regraft.settings import TrainSettings

TRAINED = ("last-blocks", "full", "scratch")
"""The strategies that train a tail."""


class SolvedPlan(Record):
    """A solved head on the frozen network, as one voter of several."""

    head: HeadKind
    stages: tuple[str, ...]
    """All of them are read."""
    statistics: tuple[Statistic, ...]


class Plan(Record):
    """What a fit will do: the cut, what is trained and how. Print it, save it, edit it, run it again.

    >>> plan = Plan(network="lenet5", strategy="probe", head="logistic", stages=("f6",), statistics=("mean",),
    ...             runtime="torch", precision="fp32", seed=0)
    >>> print(plan.toml().splitlines()[0])
    network = "lenet5"
    """

    network: str
    strategy: Strategy
    head: HeadKind
    stages: tuple[str, ...]
    """The stages whose features the head reads (for `many-stages`, the candidates); for the strategies that
    train, the stages that are trained."""
    statistics: tuple[Statistic, ...]
    reads: Literal["best", "all"] = "best"
    """Whether a solved head's stages are candidates for cross-validation to choose from, or all are read."""
    refit: SolvedPlan | None = None
    """For the strategies that train: a head solved on the trained network's stages, instead of the trained
    one."""
    vote: tuple[SolvedPlan, ...] = ()
    """Solved heads on the frozen network whose probabilities are averaged with this plan's own."""
    runtime: Literal["openvino", "torch"]
    precision: Precision
    """Of the frozen network, while features and activations are computed."""
    seed: int
    granularity: Granularity = "default"
    """How finely the network is divided into stages."""
    channels: int | None = None
    """Channels of the images, if not the network's own."""
    image_size: int | None = None
    """Side of the network's input, pixels, if not its own."""
    training: TrainSettings | None = None
    """Every setting of the training, automatic choices included; None where nothing is trained."""

    def toml(self) -> str:
        """The plan as TOML text, which `Plan.load` reads back."""
        values = self.model_dump(mode="json", exclude={"training"}, exclude_none=True)
        if self.training is not None:
            chosen = {name: value for name, value in asdict(self.training).items() if value is not None}
            values["training"] = chosen
        return tomli_w.dumps(values)

    def save(self, path: str | Path) -> Path:
        """Write the plan as a TOML file."""
        storage.write_atomically(Path(path), self.toml().encode())
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan that `save` wrote and somebody may have edited.

        Raises:
            SettingsError: unreadable, or something in it is not understood; names each problem.
        """
        try:
            return cls.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"can't read the plan {path}: {error}") from error
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise SettingsError(f"the plan {path} can't be used: {problems}") from error
        except SettingsError as error:
            raise SettingsError(f"the plan {path} can't be used: {error}") from error


class Run(Record):
    """`run.json`: what was done, to what, with what. Times and the command are in `log.jsonl`."""

    schema_version: Literal[1] = 1
    regraft_version: str
    data_root: str
    settings: dict[str, object]
    """As the user gave them; a later fit with the same ones continues this run."""
    plan: Plan
    split_sha256: Sha256
    weights: WeightsSource
    lineage: tuple[str, ...] = ()
    """Where the weights came from, the oldest ancestor first."""
    reasons: tuple[str, ...]
    """Every automatic choice, in words."""
    versions: dict[str, str]
