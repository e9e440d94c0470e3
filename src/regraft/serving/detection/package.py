"""What a server needs from a detector: the graph, the classes with their thresholds, and the canvas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from regraft.errors import BundleError, RegraftError
from regraft.records import InputSpec, Label, Record
from regraft.storage.files import key_of, make_folder, read_json, sha256_of_file, write_atomically
from regraft.version import VERSION

_VERSION = 1
Share = Annotated[float, Field(ge=0, le=1)]


class DetectorFacts(Record):
    """The file `package.json` of a detector's package."""

    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=10_000)]
    thresholds: tuple[Share, ...]
    """The probability from which on boxes of each class are answered."""
    input_spec: InputSpec
    """The network's input; its height and width are those of the canvas."""
    facts: dict[str, Any]
    """The answer of `/model`."""


@dataclass(frozen=True)
class DetectorPackage:
    """A detector as a server uses it."""

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    """The probability from which on boxes of each class are answered."""
    input_spec: InputSpec
    """The network's input; its height and width are those of the canvas."""
    graph: Path
    """From `canvas` and `picture` to `boxes`, `labels` and `scores`."""
    facts: dict[str, Any]
    """The answer of `/model`."""


def detector_key(folder: Path) -> str:
    """The SHA-256 of all that the package of a run or bundle is made of."""
    names = ("bundle.json", "bundle/bundle.json", "run.json", "scores.json")
    there = [name for name in names if (folder / name).is_file()]
    return key_of(["detector", _VERSION, VERSION, there, *(sha256_of_file(folder / name) for name in there)])


def read_detector(folder: Path) -> DetectorPackage:
    """Read a package that `write_detector` wrote.

    Raises:
        BundleError: it is damaged.
    """
    try:
        record = DetectorFacts.model_validate(read_json(folder / "package.json"))
        if len(record.labels) != len(record.thresholds):
            raise ValueError(f"{len(record.labels)} labels, but {len(record.thresholds)} thresholds")
    except (RegraftError, ValidationError, OSError, ValueError) as error:
        raise BundleError(f"{folder} is damaged ({error}). Delete it and run the command again") from error
    return DetectorPackage(
        record.labels, record.thresholds, record.input_spec, folder / "core.onnx", record.facts
    )


def write_detector(folder: Path, *, graph: bytes, record: DetectorFacts) -> DetectorPackage:
    """Write a package; its record is written last, so that a folder without it is incomplete."""
    make_folder(folder)
    write_atomically(folder / "core.onnx", graph)
    write_atomically(folder / "package.json", json.dumps(record.model_dump(mode="json")).encode())
    return read_detector(folder)
