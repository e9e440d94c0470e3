"""What a server needs from a run: the graph, the labels, and the training images to compare with.

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

from regraft import __version__, storage
from regraft.errors import BundleError, RegraftError
from regraft.progress import Reporter
from regraft.records import InputSpec
from regraft.run_files import RunFiles

THUMBNAIL_PX = 96
_VERSION = 2


@dataclass(frozen=True)
class Package:
    """A model as a server uses it."""

    labels: tuple[str, ...]
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


def open_package(run: str | Path, reporter: Reporter) -> Package:
    """The package of a run, from the cache if it is there.

    Raises:
        BundleError: the package could not be made, for the reason given.
        SettingsError: the run is not finished.
    """
    files = RunFiles(Path(run).resolve())
    bundle = files.folder / "bundle" / "bundle.json"
    if not bundle.is_file():
        raise BundleError(f"{files.folder} contains no model: {bundle} is missing")
    shown = [bundle, *(files.folder / name for name in ("run.json", "scores.json", "split.csv"))]
    facts = [_VERSION, __version__, *map(storage.sha256_of_file, shown), str(files.root)]
    folder = storage.cache_folder() / "serving" / storage.key_of(facts)[:24]
    if not (folder / "package.json").exists():
        with reporter.phase("preparing the model for serving", 1, "models") as meter:
            _make_apart(files.folder, folder)
            meter.advance()
    return read_package(folder)


def _make_apart(run: Path, folder: Path) -> None:
    """Make the package in a separate process, which may import torch."""
    command = [sys.executable, "-m", "regraft.serving.packing", str(run), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise BundleError(f"{run} can't be prepared for serving: {last}")


def read_package(folder: Path) -> Package:
    """Read a package that `write_package` wrote."""
    try:
        record = storage.read_json(folder / "package.json")
        arrays = safetensors.numpy.load_file(folder / "neighbours.safetensors")
        ends = np.cumsum(arrays["sizes"])
        blob = arrays["thumbnails"].tobytes()
        thumbnails = tuple(blob[end - size : end] for end, size in zip(ends, arrays["sizes"], strict=True))
        return Package(
            tuple(record["labels"]),
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
    storage.make_folder(folder)
    storage.write_atomically(folder / "core.onnx", graph)
    arrays: dict[str, npt.NDArray[Any]] = {
        "places": places.astype(np.float16),
        "sizes": np.array([len(one) for one in thumbnails], dtype=np.int64),
        "thumbnails": np.frombuffer(b"".join(thumbnails), dtype=np.uint8),
    }
    storage.write_atomically(folder / "neighbours.safetensors", safetensors.numpy.save(arrays))
    storage.write_atomically(folder / "package.json", json.dumps(record).encode())
