"""The measurements of one arm on one draw, kept in a file by everything that they depend on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from regraft.errors import StorageError
from regraft.records import Record
from regraft.storage.files import key_of, make_folder, read_json, write_json


class Value(Record):
    """One measured number of one arm on one draw."""

    measure: str
    value: float = Field(allow_inf_nan=False)
    unit: str
    low: float | None = None
    """Lower bound of its 95 % interval over the test pictures of this draw; None if there is none."""
    high: float | None = None


class Row(Record):
    """What one arm measured on one draw."""

    experiment: str
    arm: str
    seed: int
    values: tuple[Value, ...]
    seconds: float
    """How long the measurement took."""


class RowFiles:
    """The rows of one experiment in a folder: a longer run adds to a shorter one.

    Args:
        folder: where the files are.
        experiment: name of the experiment.
        facts: everything that a row depends on besides arm and seed, as JSON values.
    """

    def __init__(self, folder: Path, experiment: str, facts: Mapping[str, Any]) -> None:
        self.folder, self.experiment, self.facts = folder, experiment, facts

    def find(self, arm: str, seed: int) -> Row | None:
        """The row of an arm and a draw; None if it was not measured, or its file is damaged."""
        path = self._path(arm, seed)
        if not path.is_file():
            return None
        try:
            row = Row.model_validate(read_json(path))
        except (StorageError, ValidationError):
            return None
        is_own = (row.experiment, row.arm, row.seed) == (self.experiment, arm, seed)
        return row if is_own else None

    def keep(self, row: Row) -> None:
        """Write a row.

        Raises:
            StorageError: the folder can't be written to.
        """
        make_folder(self.folder)
        write_json(self._path(row.arm, row.seed), row.model_dump())

    def _path(self, arm: str, seed: int) -> Path:
        key = key_of({"experiment": self.experiment, "arm": arm, "seed": seed, "facts": dict(self.facts)})
        return self.folder / f"{key[:24]}.json"
