"""A network's graph without its weights, on disk; and the model of OpenVINO that both make together.

OpenVINO keeps a model as a description (XML) and one file of constants. Here the constants that are weights
are left out: the record says which tensor of a weights file belongs at which offset. So a graph fits all
weights of one architecture, and neither torch nor a conversion is needed for others of them. The graph of the
network that is installed with Regraft comes with the package (`scripts/build_graph.py`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from regraft.errors import StorageError
from regraft.features.moments import Norm
from regraft.networks.weights.finding import Weights
from regraft.records import Column, MapLevel, Record, Sha256
from regraft.storage.files import key_of, make_folder, read_json, sha256_of_file, write_atomically

PACKAGED = Path(__file__).parent / "converted" / "tf_efficientnet_lite0.zip"
GRAPH, CONSTANTS, RECORD = "graph.xml", "constants.bin", "graph.json"
Output = Literal["rows", "moments"]
Cut = int | Literal["maps"] | None
"""Where a network ends: after a number of stages, with the maps of several stages, or with all features."""
Arrays = Mapping[str, npt.NDArray[np.float32]]


class Piece(Record):
    """A run of bytes among a graph's constants."""

    offset: int
    size: int
    tensor: str | None
    """Name of the tensor that belongs there; None if the bytes are in the graph's own file."""


class GraphRecord(Record):
    """The file `graph.json`: how a graph's outputs and constants are to be read."""

    layout: tuple[Column, ...]
    """The columns of a feature row; empty for activations."""
    width: int
    """Number of values in a feature row or an activation."""
    moments: tuple[Column, ...]
    """The columns of the second output, the row of moments; empty for activations, which have none."""
    norms: tuple[Norm, ...]
    maps: tuple[MapLevel, ...] = Field((), exclude_if=lambda levels: not levels)
    """The maps of a row, if the row is made of maps."""
    shapes: dict[str, tuple[int, ...]]
    """The shape of every tensor that a weights file must have."""
    pieces: tuple[Piece, ...]
    size: int
    """Number of bytes of all constants."""
    is_for_one: bool
    """Whether the architecture has no graph apart from its weights, because they are folded together."""
    files: dict[str, Sha256]
    facts: dict[str, Any]


class Graph:
    """A graph in the cache.

    Args:
        folder: the folder with its files.
        record: its record.
    """

    def __init__(self, folder: Path, record: GraphRecord) -> None:
        self.folder = folder
        self.layout, self.moments, self.width = record.layout, record.moments, record.width
        self.norms, self.shapes, self.is_for_one = record.norms, record.shapes, record.is_for_one
        self.maps = record.maps
        self._pieces, self._size = record.pieces, record.size

    def columns(self, output: Output) -> tuple[Column, ...]:
        """The columns of one output."""
        return self.layout if output == "rows" else self.moments

    def whole(self, arrays: Arrays) -> Any:
        """The graph with weights, as a model of OpenVINO with all outputs.

        Args:
            arrays: the tensors of a weights file, by name.
        """
        import openvino

        constants = openvino.Tensor(self._constants(arrays))
        return openvino.Core().read_model((self.folder / GRAPH).read_bytes(), constants)

    def model(self, arrays: Arrays, output: Output) -> Any:
        """The graph with weights and one output; only the operators that it needs are kept."""
        import openvino

        whole = self.whole(arrays)
        number = 0 if output == "rows" else 1
        return openvino.Model([whole.get_results()[number]], whole.get_parameters())

    def _constants(self, arrays: Arrays) -> npt.NDArray[np.uint8]:
        own = np.frombuffer((self.folder / CONSTANTS).read_bytes(), dtype=np.uint8)
        whole, start = np.zeros(self._size, dtype=np.uint8), 0
        for piece in self._pieces:
            place = slice(piece.offset, piece.offset + piece.size)
            if piece.tensor is None:
                whole[place] = own[start : start + piece.size]
                start += piece.size
            else:
                whole[place] = np.ascontiguousarray(arrays[piece.tensor]).reshape(-1).view(np.uint8)
        return whole


def open_graph(folder: Path) -> Graph | None:
    """A graph in the cache; None unless all its files are present and undamaged."""
    try:
        record = GraphRecord.model_validate(read_json(folder / RECORD))
        if any(sha256_of_file(folder / name) != sha256 for name, sha256 in record.files.items()):
            return None
    except (StorageError, OSError, ValidationError):
        return None
    return Graph(folder, record)


def unpack(facts: Mapping[str, Any], folder: Path) -> bool:
    """Write the graph that comes with the package into a folder of the cache, its record last.

    Returns:
        Whether it did: it does not if the facts differ, or if OpenVINO is older than the one that wrote it.
        Other versions of torch and timm may be installed: they give the same graph, as the tests check.
    """
    with zipfile.ZipFile(PACKAGED) as archive:
        written = json.loads(archive.read(RECORD))["facts"]
        if _apart_from_versions(written) != _apart_from_versions(facts):
            return False
        if _ordered(written["versions"]["openvino"]) > _ordered(metadata.version("openvino")):
            return False
        make_folder(folder)
        for name in (GRAPH, CONSTANTS, RECORD):
            write_atomically(folder / name, archive.read(name))
    return True


def _apart_from_versions(facts: Mapping[str, Any]) -> str:
    return key_of({name: value for name, value in facts.items() if name != "versions"})


def _ordered(version: str) -> tuple[int, ...]:
    """The numbers of a version.

    >>> _ordered("2026.4.1") < _ordered("2026.10.0.dev1")
    True
    """
    return tuple(int(part) for part in version.split(".") if part.isdigit())


_CONVERSION_VERSION = 2
_GRAPH_VERSION = 1


def conversion_facts(weights: Weights, cut: Cut = None) -> dict[str, Any]:
    """Everything that the bits of a converted network's outputs depend on, besides the machine."""
    return {
        **({} if cut is None else {"activation_after": cut}),
        "conversion": _CONVERSION_VERSION,
        "network": weights.network,
        "recipe": weights.recipe.model_dump(),
        "weights_sha256": weights.sha256,
        "input": weights.input_spec.model_dump(exclude={"intensity", "framing"}),
        "versions": _versions(),
    }


def graph_facts(weights: Weights, cut: Cut = None) -> dict[str, Any]:
    """Everything that the graph depends on: the architecture and the input, but not the weights."""
    spec = weights.input_spec
    return {
        "activation_after": cut,
        "graph": _GRAPH_VERSION,
        "recipe": weights.recipe.model_dump(),
        "input": [spec.size_px, spec.channels, list(spec.mean), list(spec.std)],
        **({} if spec.width_px is None else {"width_px": spec.width_px}),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("torch", "timm", "torchvision", "openvino")}
