"""The records of a saved model: the file `bundle.json`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from regraft.records import (
    Column,
    HeadRecord,
    InputSpec,
    Label,
    Precision,
    Recipe,
    Record,
    Sha256,
    WeightsSource,
)
from regraft.tasks.choosing import SavedTask
from regraft.tasks.classification import Classification


class VoterRecord(Record):
    """A further voter of a bundle; the first voter is the bundle's own network and head."""

    network: str
    recipe: Recipe
    input_spec: InputSpec
    weights: WeightsSource
    head: HeadRecord
    layout: tuple[Column, ...]
    network_file: Literal["network.safetensors", "network-2.safetensors", "network-3.safetensors"]
    """The bundle's file that holds the voter's network; voters may share a file."""


class BundleRecord(Record):
    """The file `bundle.json`: everything about a saved model except its arrays."""

    schema_version: Literal[2] = 2
    regraft_version: str
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=100_000)]
    """The names of the outputs."""
    task: SavedTask | None = Field(None, exclude_if=lambda task: task is None)
    """What the outputs mean; not saved for a classification of which the labels say all."""
    network: str
    recipe: Recipe
    input_spec: InputSpec
    loader_version: int
    weights: WeightsSource
    head: HeadRecord
    layout: tuple[Column, ...]
    """All feature columns of the network; the head reads some of them."""
    fitted_precision: Precision
    lineage: tuple[str, ...]
    """The origin of the weights and every training since, the oldest first."""
    others: tuple[VoterRecord, ...] = Field((), max_length=3)
    """Further voters, whose outputs are averaged with those of the first."""
    files: dict[str, Sha256]
    """Names of the bundle's other files, with their hashes."""

    @model_validator(mode="after")
    def _check_outputs(self) -> Self:
        if self.task is None and len(self.labels) < 2:
            raise ValueError("a classification has at least 2 labels")
        if self.meaning.outputs != self.labels:
            raise ValueError("the outputs of the task are not the labels")
        if wrong := {head.link for head in (self.head, *(voter.head for voter in self.others))} - {
            self.meaning.link
        }:
            raise ValueError(f"a head has the link {wrong.pop()}, but the task needs {self.meaning.link}")
        return self

    @property
    def meaning(self) -> SavedTask:
        """The task, also where it is not saved."""
        return self.task or Classification(outputs=self.labels)
