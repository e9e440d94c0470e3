"""A network's graph without its weights, on disk; and the model of OpenVINO that both make together.

OpenVINO keeps a model as a description (XML) and one file of constants. Here the constants that are weights
are left out: the record says which tensor of a weights file belongs at which offset. So a graph fits all
weights of one architecture, and neither torch nor a conversion is needed for others of them. Some graphs come
with the package (`scripts/build_graph.py`): the features of the network that is installed with Regraft, and
the maps of a few networks, which fit a canvas of any size.
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
from regraft.machine.inference import openvino_core
from regraft.networks.weights.finding import Weights
from regraft.networks.zoo.cards import card_of
from regraft.records import Column, MapLevel, Recipe, Record, Sha256
from regraft.storage.files import key_of, make_folder, read_json, sha256_of_file, write_atomically, write_json

CONVERTED = Path(__file__).parent / "converted"
PACKAGED = CONVERTED / "tf_efficientnet_lite0.zip"
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
    canvas: tuple[int, int] | None = Field(None, exclude_if=lambda canvas: canvas is None)
    """Height and width of the input if they are not those that the graph was traced with."""
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
        self.maps, self._canvas = record.maps, record.canvas
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
        model = openvino_core().read_model((self.folder / GRAPH).read_bytes(), constants)
        if self._canvas is not None:
            model.reshape([1, *self._canvas, model.inputs[0].partial_shape[3].get_length()])
        return model

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
    """Write a graph that comes with the package into a folder of the cache, its record last.

    Returns:
        Whether it did: it does not if no graph has these facts, or if OpenVINO is older than the one that
        wrote it. Other versions of torch and timm may be installed: they give the same graph, as the tests
        check. A graph of maps fits every canvas whose sides are multiples of 32 pixels.
    """
    for path in sorted(CONVERTED.glob("*.zip")):
        if path.name.startswith(str(facts["recipe"]["name"])):
            with zipfile.ZipFile(path) as archive:
                if _write_unpacked(archive, facts, folder):
                    return True
    return False


def _write_unpacked(archive: zipfile.ZipFile, facts: Mapping[str, Any], folder: Path) -> bool:
    record = json.loads(archive.read(RECORD))
    written = record["facts"]
    if _ordered(written["versions"]["openvino"]) > _ordered(metadata.version("openvino")):
        return False
    is_exact = _apart_from_versions(written) == _apart_from_versions(facts)
    if not is_exact and not _fits_canvas(written, facts):
        return False
    make_folder(folder)
    for name in (GRAPH, CONSTANTS):
        write_atomically(folder / name, archive.read(name))
    if is_exact:
        write_atomically(folder / RECORD, archive.read(RECORD))
    else:
        write_json(folder / RECORD, _on_canvas(GraphRecord.model_validate(record), facts).model_dump())
    return True


def _apart_from_versions(facts: Mapping[str, Any]) -> str:
    return key_of({name: value for name, value in facts.items() if name != "versions"})


def _fits_canvas(written: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether a graph of maps differs from the one that is wanted by the size of its input alone."""
    if facts["activation_after"] != "maps":
        return False
    one, other = (
        key_of(
            {
                **each,
                "recipe": _with_stages(each["recipe"]),
                "input": each["input"][1:],
                "width_px": None,
                "versions": None,
            }
        )
        for each in (written, facts)
    )
    return one == other and all(side % 32 == 0 and side >= _LEAST_SIDE for side in _canvas_of(facts))


def _with_stages(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe that says how finely its network is divided, as its card does where it says `default`."""
    known = card_of(Recipe.model_validate(recipe))
    stages = known.recipe.stages if known and recipe["stages"] == "default" else recipe["stages"]
    return {**recipe, "stages": stages}


def _canvas_of(facts: Mapping[str, Any]) -> tuple[int, int]:
    height = int(facts["input"][0])
    return height, int(facts.get("width_px", height))


def _on_canvas(record: GraphRecord, facts: Mapping[str, Any]) -> GraphRecord:
    """The record of a graph of maps for a canvas of another size: the graph is reshaped when it is read."""
    height, width = _canvas_of(facts)
    levels: list[MapLevel] = []
    for level in record.maps:
        size = {"height": height // level.stride, "width": width // level.stride}
        start = levels[-1].stop if levels else 0
        stop = start + size["height"] * size["width"] * level.channels
        levels.append(level.model_copy(update={**size, "start": start, "stop": stop}))
    changes = {
        "maps": tuple(levels),
        "width": levels[-1].stop,
        "canvas": (height, width),
        "facts": dict(facts),
    }
    return record.model_copy(update=changes)


def _ordered(version: str) -> tuple[int, ...]:
    """The numbers of a version.

    >>> _ordered("2026.4.1") < _ordered("2026.10.0.dev1")
    True
    """
    return tuple(int(part) for part in version.split(".") if part.isdigit())


_LEAST_SIDE = 64  # pixels: on smaller canvases, maps of different strides can have the same size
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
        **({} if spec.average == "none" else {"average": spec.average}),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("torch", "timm", "torchvision", "openvino")}
