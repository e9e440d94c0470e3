"""What a server needs from a classifier: the graph, the task, and the training images to compare with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from regraft.errors import BundleError, RegraftError
from regraft.prediction.onnx_model import read_task
from regraft.records import InputSpec
from regraft.runs.model_files import ModelFiles
from regraft.storage.files import key_of, make_folder, read_json, sha256_of_file, write_atomically
from regraft.tasks.task import Task
from regraft.version import VERSION

THUMBNAIL_PX = 96
MOST_NEIGHBOURS = 4_000
"""Number of training images that a package keeps to compare with, spread evenly over all."""
_VERSION = 5


@dataclass(frozen=True)
class ClassifierPackage:
    """A classifier as a server uses it: a model of any task that says something about whole images."""

    task: Task
    input_spec: InputSpec
    graph: Path
    facts: dict[str, Any]
    """The answer of `/model`."""
    places: npt.NDArray[np.float32]
    """`(N, D)` unit vectors of the training images in feature space."""
    neighbours: tuple[tuple[str, str], ...]
    """Paths and labels of the training images."""
    thumbnails: tuple[bytes, ...]
    """JPEG files of the training images; empty where an image could not be read."""


def classifier_key(files: ModelFiles) -> str:
    """The SHA-256 of all that a package is made of, images included: they may be there only the next time.

    Raises:
        BundleError: there is no model.
    """
    if not (files.bundle / "bundle.json").is_file():
        raise BundleError(f"{files.folder} contains no model: {files.bundle / 'bundle.json'} is missing")
    named = [files.folder / name for name in ("run.json", "scores.json", "split.csv")] if files.run else []
    shown = [files.bundle / "bundle.json", *(path for path in named if path.is_file())]
    step = max(1, -(-len(files.training_images) // MOST_NEIGHBOURS))
    found = [files.image(item.path) is not None for item in files.training_images[::step]]
    root = str(files.run.root) if files.run else ""
    return key_of([_VERSION, VERSION, *map(sha256_of_file, shown), root, found])


def read_classifier(folder: Path) -> ClassifierPackage:
    """Read a package that `write_classifier` wrote.

    Raises:
        BundleError: it is damaged.
    """
    try:
        record = read_json(folder / "package.json")
        arrays = safetensors.numpy.load_file(folder / "neighbours.safetensors")
        ends = np.cumsum(arrays["sizes"])
        blob = arrays["thumbnails"].tobytes()
        thumbnails = tuple(blob[end - size : end] for end, size in zip(ends, arrays["sizes"], strict=True))
        return ClassifierPackage(
            read_task(record),
            InputSpec.model_validate(record["input_spec"]),
            folder / "core.onnx",
            record["facts"],
            arrays["places"].astype(np.float32),
            tuple((str(path), str(label)) for path, label in record["neighbours"]),
            thumbnails,
        )
    except (RegraftError, OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise BundleError(f"{folder} is damaged ({error}). Delete it and run the command again") from error


def write_classifier(
    folder: Path,
    *,
    graph: bytes,
    record: dict[str, Any],
    places: npt.NDArray[np.float32],
    thumbnails: list[bytes],
) -> None:
    """Write a package; its record is written last, so that a folder without it is incomplete."""
    make_folder(folder)
    write_atomically(folder / "core.onnx", graph)
    arrays: dict[str, npt.NDArray[Any]] = {
        "places": places.astype(np.float16),
        "sizes": np.array([len(one) for one in thumbnails], dtype=np.int64),
        "thumbnails": np.frombuffer(b"".join(thumbnails), dtype=np.uint8),
    }
    write_atomically(folder / "neighbours.safetensors", safetensors.numpy.save(arrays))
    write_atomically(folder / "package.json", json.dumps(record).encode())
