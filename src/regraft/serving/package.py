"""What a server needs of a run, made once: the graph, the labels, and the training images to compare with.

Making it needs torch; using it does not. So it is made by a process of its own and kept in the cache.
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
    """A model as a server holds it."""

    labels: tuple[str, ...]
    input_spec: InputSpec
    graph: Path
    facts: dict[str, Any]
    """What `/model` says."""
    places: npt.NDArray[np.float32]
    """`(N, D)`: where training images lie, as directions."""
    neighbours: tuple[tuple[str, str], ...]
    """Their paths and labels."""
    thumbnails: tuple[bytes, ...]
    """JPEG files; empty where an image was not at hand."""


def open_package(run: str | Path, reporter: Reporter) -> Package:
    """The package of a run, from the cache or made now.

    Raises:
        BundleError: it could not be made; says why.
        SettingsError: no finished run.
    """
    files = RunFiles(Path(run).resolve())
    bundle = files.folder / "bundle" / "bundle.json"
    if not bundle.is_file():
        raise BundleError(f"{files.folder} holds no model: {bundle} is missing")
    shown = [bundle, *(files.folder / name for name in ("run.json", "scores.json", "split.csv"))]
    facts = [_VERSION, __version__, *map(storage.sha256_of_file, shown), str(files.root)]
    folder = storage.cache_folder() / "serving" / storage.key_of(facts)[:24]
    if not (folder / "package.json").exists():
        with reporter.phase("preparing the model for serving", 1, "models") as meter:
            _make_apart(files.folder, folder)
            meter.advance()
    return read_package(folder)


def _make_apart(run: Path, folder: Path) -> None:
    """In a process of its own, which may import torch."""
    command = [sys.executable, "-m", "regraft.serving.packing", str(run), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise BundleError(f"{run} can't be prepared for serving: {last}")


def read_package(folder: Path) -> Package:
    """What `write_package` wrote."""
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
        raise BundleError(f"{folder} is damaged ({error}); delete it and start again") from error


def write_package(
    folder: Path,
    *,
    graph: bytes,
    record: dict[str, Any],
    places: npt.NDArray[np.float32],
    thumbnails: list[bytes],
) -> None:
    """Write everything; the record comes last, so that a folder without it is unfinished."""
    storage.make_folder(folder)
    storage.write_atomically(folder / "core.onnx", graph)
    arrays: dict[str, npt.NDArray[Any]] = {
        "places": places.astype(np.float16),
        "sizes": np.array([len(one) for one in thumbnails], dtype=np.int64),
        "thumbnails": np.frombuffer(b"".join(thumbnails), dtype=np.uint8),
    }
    storage.write_atomically(folder / "neighbours.safetensors", safetensors.numpy.save(arrays))
    storage.write_atomically(folder / "package.json", json.dumps(record).encode())
