"""What a fit will do (`Plan`) and what it did (`Run`)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import tomli_w
from pydantic import Field, ValidationError

from regraft.errors import SettingsError
from regraft.records import (
    Averaged,
    Framing,
    Granularity,
    HeadKind,
    Link,
    Precision,
    Record,
    Statistic,
    Strategy,
)
from regraft.settings import TrainSettings
from regraft.storage.files import write_atomically
from regraft.storage.seals import sealed

TRAINED = ("last-blocks", "full", "scratch")
"""The strategies that train a tail."""
TRAINED_HEADS: Mapping[Link, HeadKind] = {"softmax": "logistic", "sigmoid": "logistic", "identity": "ridge"}
"""By link, the kind of solved head that computes what a trained one does."""


class SolvedPlan(Record):
    """A solved head that reads the stages of the frozen network, as one voter of several."""

    head: HeadKind
    stages: tuple[str, ...]
    """The stages that the head reads."""
    statistics: tuple[Statistic, ...]
    most_images: int | None = Field(None, exclude_if=lambda most: most is None, ge=2)
    """How many training images the head is solved on at most, a stratified sample; None for all of them."""


class Plan(Record):
    """What a fit will do: the cut, what is trained and how. It can be printed, saved, edited and run again.

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
    """Precision of the frozen network while features and activations are computed."""
    seed: int
    granularity: Granularity = "default"
    """How finely the network is divided into stages."""
    channels: int | None = None
    """Number of channels of the images, if it differs from the network's own."""
    image_size: int | None = None
    """Side of the network's input in pixels, if it differs from the network's own."""
    framing: Framing = Field("crop", exclude_if=lambda framing: framing == "crop")
    """What the network sees of an image; see `InputSpec.framing`."""
    average: Averaged = Field("none", exclude_if=lambda average: average == "none")
    """Over which views of an image its features are averaged; see `InputSpec.average`."""
    most_images: int | None = Field(None, exclude_if=lambda most: most is None, ge=2)
    """How many training images a solved head is fitted on at most, a stratified sample; None for all of
    them. The ladder sets it where all images would take more time or memory than there is."""
    training: TrainSettings | None = None
    """Every setting of the training, automatic choices included; None if nothing is trained."""

    def toml(self) -> str:
        """The plan as TOML text, which `Plan.load` can read."""
        values = self.model_dump(mode="json", exclude={"training"}, exclude_none=True)
        if self.training is not None:
            chosen = {name: value for name, value in asdict(self.training).items() if value is not None}
            values["training"] = chosen
        return tomli_w.dumps(values)

    def save(self, path: str | Path) -> Path:
        """Write the plan as a TOML file, whose last line tells an edited plan from one as it was written."""
        write_atomically(Path(path), sealed(self.toml()).encode())
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan that `save` wrote and a user may have edited.

        Raises:
            SettingsError: the file can't be read or has invalid settings; the message lists each problem.
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
