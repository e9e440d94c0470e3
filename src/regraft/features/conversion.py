"""Conversion of a network for OpenVINO, done once, in a separate process.

    python -m regraft.features.conversion REQUEST.json

The child process imports torch and timm (which takes seconds and most of a gigabyte) while its parent already
reads images; a process that has imported torch itself converts without a child. The converted network is
cached, so that later runs extract features without importing torch at all.
OpenVINO's `convert_model` is avoided because it sends usage data to its vendor; the same front end is called
directly.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import threading
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock

from regraft.errors import NetworkError, StorageError
from regraft.networks.weights.finding import Weights
from regraft.records import Column, InputSpec, Recipe, WeightsSource
from regraft.storage.files import cache_folder, key_of, make_folder, read_json, sha256_of_file, write_json

_CONVERSION_VERSION = 2
_TRACING = threading.Lock()  # torch traces one network at a time


@dataclass(frozen=True)
class Conversion:
    """The output of a converted network."""

    layout: tuple[Column, ...]
    """The columns of a feature row; empty for activations."""
    width: int


def conversion_facts(weights: Weights, cut: int | None = None) -> dict[str, Any]:
    """Everything that a converted network depends on."""
    return {
        **({} if cut is None else {"activation_after": cut}),
        "conversion": _CONVERSION_VERSION,
        "network": weights.network,
        "recipe": weights.recipe.model_dump(),
        "weights_sha256": weights.sha256,
        "input": weights.input_spec.model_dump(),
        "versions": {name: metadata.version(name) for name in ("torch", "timm", "torchvision", "openvino")},
    }


def converted(weights: Weights, cut: int | None = None) -> tuple[Path, Conversion]:
    """The folder of the converted network (`network.xml`, `network.bin`) and its output; converts if needed.

    With a `cut`, the network ends after that many stages.

    Raises:
        NetworkError: the conversion failed; the message says why.
        StorageError: the converted network in the cache is damaged.
    """
    key = key_of(conversion_facts(weights, cut))[:24]
    folder = cache_folder() / "networks" / key
    conversion = _complete(folder)
    if conversion is None:
        make_folder(folder.parent)
        with filelock.FileLock(folder.parent / f".{key}.lock"):
            conversion = _complete(folder)
            if conversion is None:
                if "torch" in sys.modules:
                    _convert_here(weights, folder, cut)
                else:
                    _convert_in_child(weights, folder, cut)
                conversion = _complete(folder)
    if conversion is None:
        raise StorageError(f"the converted network in {folder} is damaged; delete the folder and run again")
    return folder, conversion


def _complete(folder: Path) -> Conversion | None:
    """The output of a converted network; None unless all its files are present and undamaged."""
    try:
        record = read_json(folder / "layout.json")
        for name, sha256 in record["files"].items():
            if sha256_of_file(folder / name) != sha256:
                return None
        layout = tuple(Column.model_validate(column) for column in record["layout"])
        return Conversion(layout, int(record["width"]))
    except (StorageError, OSError, KeyError, AttributeError, ValueError):
        return None


def _convert_here(weights: Weights, folder: Path, cut: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with _TRACING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's tracing warns about sizes, which are fixed here
            _convert(weights, folder, cut)
    except StorageError:
        raise
    except Exception as error:  # the front end can raise anything
        raise _failed(weights, " ".join(str(error).split())[:500]) from error


def _failed(weights: Weights, reason: str) -> NetworkError:
    return NetworkError(f"{weights.network} can't be converted for OpenVINO: {reason}. Try --runtime torch")


def _convert_in_child(weights: Weights, folder: Path, cut: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    request = folder.with_name(f".{folder.name}.request.json")
    write_json(
        request,
        {
            "network": weights.network,
            "path": str(weights.path),
            "sha256": weights.sha256,
            "recipe": weights.recipe.model_dump(),
            "input_spec": weights.input_spec.model_dump(),
            "source": weights.source.model_dump(),
            "folder": str(folder),
            "cut": cut,
        },
    )
    command = [sys.executable, "-W", "ignore", "-m", "regraft.features.conversion", str(request)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    request.unlink(missing_ok=True)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise _failed(weights, lines[-1])


def _convert(weights: Weights, folder: Path, cut: int | None) -> None:
    import openvino
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    from regraft.features.pooling import PooledStages, PrefixActivation, activation_shape, layout_of
    from regraft.networks.network import load_network

    network = load_network(weights)
    spec = network.input_spec
    shape = [1, spec.size_px, spec.size_px, spec.channels]
    module: torch.nn.Module = PooledStages(network) if cut is None else PrefixActivation(network, cut)
    layout = layout_of(network) if cut is None else ()
    decoder = TorchScriptPythonDecoder(module.eval(), example_input=(torch.zeros(shape, dtype=torch.uint8),))
    front_end = FrontEndManager().load_by_framework("pytorch")
    model = front_end.convert(front_end.load(decoder))
    model.reshape(shape)
    make_folder(folder)
    openvino.serialize(model, folder / "network.xml", folder / "network.bin")
    names = ("network.xml", "network.bin")
    record = {
        "layout": [column.model_dump() for column in layout],
        "width": layout[-1].stop if cut is None else math.prod(activation_shape(network, cut)),
        "files": {name: sha256_of_file(folder / name) for name in names},
        "facts": conversion_facts(weights, cut),
    }
    write_json(folder / "layout.json", record)  # last: without it the conversion is incomplete


def _main(request: Path) -> int:
    record = json.loads(request.read_text(encoding="utf-8"))
    weights = Weights(
        record["network"],
        Path(record["path"]),
        record["sha256"],
        Recipe.model_validate(record["recipe"]),
        InputSpec.model_validate(record["input_spec"]),
        WeightsSource.model_validate(record["source"]),
    )
    try:
        _convert(weights, Path(record["folder"]), record["cut"])
    except Exception as error:  # noqa: BLE001 (the parent process shows any error of the front end)
        sys.stderr.write(" ".join(str(error).split())[:500] + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
