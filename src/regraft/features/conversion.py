"""Conversion of a network for OpenVINO, done once for each architecture, in a separate process.

    python -m regraft.features.conversion REQUEST.json

The child process imports torch and timm (which takes seconds and most of a gigabyte) while its parent already
reads images; a process that has imported torch itself converts without a child. What is cached is the graph
apart from the weights (`graphs.py`), so other weights of the same architecture, for example trained ones, are
not converted, and later runs extract features without importing torch at all.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from regraft.errors import NetworkError, NoMapsError, StorageError, words_of
from regraft.features.graphs import Cut, Graph, graph_facts, open_graph, unpack
from regraft.networks.weights.finding import Weights
from regraft.networks.weights.tensors import check_shapes, shapes_of
from regraft.records import InputSpec, Recipe, WeightsSource
from regraft.storage.files import key_of, make_folder, whole_folder, write_json
from regraft.storage.locks import working_lock
from regraft.storage.places import cache_folder

_TRACING = threading.Lock()  # torch traces one network at a time
_NO_MAPS = 3  # how a child ends that has found no maps


def converted(weights: Weights, cut: Cut = None) -> Graph:
    """The graph of a network, from the cache if its architecture was converted before.

    With a `cut`, the network ends after that many stages.

    Raises:
        NetworkError: the conversion failed; the message says why.
        StorageError: the graph in the cache is damaged.
        WeightsError: the weights don't fit the graph.
    """
    facts = graph_facts(weights, cut)
    graph = _cached(facts, weights, cut)
    if graph.is_for_one:  # the weights are folded into this graph's constants, so each has its own
        graph = _cached({**facts, "weights_sha256": weights.sha256}, weights, cut)
    check_shapes(graph.shapes, shapes_of(weights.path), weights.path, weights.recipe.name)
    return graph


def _cached(facts: dict[str, Any], weights: Weights, cut: Cut) -> Graph:
    key = key_of(facts)[:24]
    folder = cache_folder() / "networks" / key
    graph = open_graph(folder)
    if graph is None:
        make_folder(folder.parent)
        with working_lock(folder.parent / f".{key}.lock", wait=True):
            graph = open_graph(folder)
            if graph is None:
                _make(facts, weights, folder, cut)
                graph = open_graph(folder)
    if graph is None:
        raise StorageError(f"the converted network in {folder} is damaged; delete the folder and run again")
    return graph


def _make(facts: dict[str, Any], weights: Weights, folder: Path, cut: Cut) -> None:
    """Write the graph into its folder, which is whole or absent even if another process writes it, too."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with whole_folder(folder) as own:
            if unpack(facts, own):
                return
            if "torch" in sys.modules:
                _convert_here(weights, own, cut)
            else:
                _convert_in_child(weights, own, cut)
    except StorageError:
        if open_graph(folder) is None:
            raise


def _convert_here(weights: Weights, folder: Path, cut: Cut) -> None:
    try:
        with _TRACING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's tracing warns about sizes, which are fixed here
            _trace(weights, folder, cut)
    except (StorageError, NoMapsError):
        raise
    except Exception as error:  # the front end can raise anything
        raise _failed(weights, words_of(error, 500)) from error


def _trace(weights: Weights, folder: Path, cut: Cut) -> None:
    from regraft.features.tracing import trace

    trace(weights, folder, cut)


def _failed(weights: Weights, reason: str) -> NetworkError:
    return NetworkError(f"{weights.network} can't be converted for OpenVINO: {reason}. Try --runtime torch")


def _convert_in_child(weights: Weights, folder: Path, cut: Cut) -> None:
    request = folder.with_name(f"{folder.name.removesuffix('.tmp')}.request.tmp")
    write_json(
        request,
        {
            "network": weights.network,
            "path": str(weights.path),
            "sha256": weights.sha256,
            "recipe": weights.recipe.model_dump(),
            "input_spec": weights.input_spec.model_dump(exclude={"intensity", "framing"}),
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
        if result.returncode == _NO_MAPS:
            raise NoMapsError(lines[-1])
        raise _failed(weights, lines[-1])


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
        _trace(weights, Path(record["folder"]), record["cut"])
    except Exception as error:  # noqa: BLE001 (the parent process shows any error of the front end)
        sys.stderr.write(words_of(error, 500) + "\n")
        return _NO_MAPS if isinstance(error, NoMapsError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
