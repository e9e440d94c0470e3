"""What a server needs from a model: the graph, the task, and the training images to compare with.

Making a package needs torch, using it does not, so it is made once by a separate process and cached.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from regraft.errors import BundleError, RegraftError
from regraft.prediction.onnx_model import read_task
from regraft.progress import Reporter
from regraft.records import InputSpec
from regraft.runs.model_files import ModelFiles, open_files
from regraft.storage.files import key_of, make_folder, read_json, sha256_of_file, write_atomically
from regraft.storage.places import cache_folder
from regraft.tasks.task import Task
from regraft.version import VERSION

THUMBNAIL_PX = 96
MOST_NEIGHBOURS = 4_000
"""Number of training images that a package keeps to compare with, spread evenly over all."""
_VERSION = 4


@dataclass(frozen=True)
class Package:
    """A model as a server uses it."""

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


def open_package(run: str | Path, reporter: Reporter, data: str | Path | None = None) -> Package:
    """The package of a model, from the cache if it is there.

    Args:
        run: a folder that `regraft fit` or `Model.save` has written.
        reporter: receives progress.
        data: the folder in which the run's images are now; None means that they were not moved.

    Raises:
        BundleError: the package could not be made, for the reason given.
        SettingsError: there is no model.
    """
    files = open_files(Path(run).resolve(), Path(data).resolve() if data is not None else None)
    bundle = files.bundle / "bundle.json"
    if not bundle.is_file():
        raise BundleError(f"{files.folder} contains no model: {bundle} is missing")
    folder = cache_folder() / "serving" / _key(files)[:24]
    if not (folder / "package.json").exists():
        with reporter.phase("preparing the model for serving", 1, "models") as meter:
            _make_apart(files, folder)
            meter.advance()
    return read_package(folder)


def _key(files: ModelFiles) -> str:
    """The SHA-256 of all that a package is made of, images included: they may be there only the next time."""
    named = [files.folder / name for name in ("run.json", "scores.json", "split.csv")] if files.run else []
    shown = [files.bundle / "bundle.json", *(path for path in named if path.is_file())]
    step = max(1, -(-len(files.training_images) // MOST_NEIGHBOURS))
    found = [files.image(item.path) is not None for item in files.training_images[::step]]
    root = str(files.run.root) if files.run else ""
    return key_of([_VERSION, VERSION, *map(sha256_of_file, shown), root, found])


def _make_apart(files: ModelFiles, folder: Path) -> None:
    """Make the package in a separate process, which may import torch."""
    run, moved = files.folder, files.run.data if files.run else None
    command = [sys.executable, "-m", "regraft.serving.packing", str(run), str(folder)]
    command += [str(moved)] if moved is not None else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise BundleError(f"{run} can't be prepared for serving: {last}")


def read_package(folder: Path) -> Package:
    """Read a package that `write_package` wrote."""
    try:
        record = read_json(folder / "package.json")
        arrays = safetensors.numpy.load_file(folder / "neighbours.safetensors")
        ends = np.cumsum(arrays["sizes"])
        blob = arrays["thumbnails"].tobytes()
        thumbnails = tuple(blob[end - size : end] for end, size in zip(ends, arrays["sizes"], strict=True))
        return Package(
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


def write_package(
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
