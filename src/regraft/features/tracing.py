"""The graph of a network, traced by torch and translated by OpenVINO, apart from its weights.

The network is traced with marks instead of weights: every tensor is filled with numbers that no other one
has, so each constant of the graph tells from which tensor it comes. The graph with the true weights is then
compared with torch on one image. If they differ, because weights were folded into other constants, the
network is traced once more with its weights, and its graph fits no others.
`openvino.convert_model` is avoided because it sends usage data to its vendor; the same front end is called
directly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from regraft.features.graphs import CONSTANTS, GRAPH, RECORD, Cut, Graph, GraphRecord, Piece, graph_facts
from regraft.features.measured_stages import MeasuredStages, moments_layout, norms_of
from regraft.features.pooling import PrefixActivation, StageMaps, activation_shape, layout_of, map_levels
from regraft.machine.inference import openvino_core
from regraft.networks.network import Network, load_network
from regraft.networks.weights.finding import Weights
from regraft.records import Column, MapLevel
from regraft.storage.files import make_folder, sha256_of_file, write_atomically, write_json

_TOLERANCE = 1e-4  # of the largest value


def trace(weights: Weights, folder: Path, cut: Cut) -> None:
    """Write the graph of a network into a folder of the cache, its record last.

    Args:
        weights: weights of the architecture, by which the graph is checked.
        folder: the folder, which does not exist.
        cut: number of stages after which the network ends, or `maps`; None for features of every stage and
            moments.
    """
    network = load_network(weights)
    spec = network.input_spec
    module = _module(network, cut).eval()
    image = _noise((1, *spec.shape))
    expected = _computed(module, image)
    state = {name: value.clone() for name, value in network.module.state_dict().items()}
    layout = layout_of(network) if cut is None else ()
    maps = map_levels(network) if cut == "maps" else ()
    ends: list[Column | MapLevel] = [*layout, *maps]
    facts = {
        "layout": layout,
        "width": ends[-1].stop if ends else math.prod(activation_shape(network, _count(cut))),
        "maps": maps,
        "moments": moments_layout(network) if cut is None else (),
        "norms": norms_of(network) if cut is None else (),
        "shapes": {name: tuple(value.shape) for name, value in state.items()},
        "facts": graph_facts(weights, cut),
    }
    make_folder(folder)
    marks = _marked(network)
    graph = _written(_translated(module, image), marks, folder, facts, is_for_one=False)
    network.module.load_state_dict(state)  # only now: the model shares the memory of its constants
    if not _agrees(graph, state, image, expected):
        _written(_translated(module, image), {}, folder, facts, is_for_one=True)


def _module(network: Network, cut: Cut) -> nn.Module:
    if cut is None:
        return MeasuredStages(network)
    return StageMaps(network) if cut == "maps" else PrefixActivation(network, cut)


def _count(cut: Cut) -> int:
    assert isinstance(cut, int)
    return cut


def _noise(shape: Sequence[int]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def _computed(module: nn.Module, image: torch.Tensor) -> list[npt.NDArray[np.float32]]:
    with torch.inference_mode():
        outputs = module(image)
    return [one.numpy() for one in (outputs if isinstance(outputs, tuple) else (outputs,))]


def _marked(network: Network) -> dict[bytes, str]:
    """Fill every tensor of floating-point numbers with its own random ones; returns whose bytes are whose."""
    draws, marks = np.random.default_rng(0), {}
    for name, value in network.module.state_dict().items():
        if value.is_floating_point():
            mark = draws.uniform(0.5, 1.5, tuple(value.shape)).astype(np.float32)
            value.copy_(torch.from_numpy(mark))
            marks[mark.tobytes()] = name
    return marks


def _translated(module: nn.Module, image: torch.Tensor) -> Any:
    """The module as a model of OpenVINO."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # torch would trace three times to compare; `_agrees` compares the result itself
    decoder = TorchScriptPythonDecoder(module, example_input=(image,), trace_kwargs={"check_trace": False})
    front_end = FrontEndManager().load_by_framework("pytorch")
    model = front_end.convert(front_end.load(decoder))
    model.reshape(list(image.shape))
    return model


def _written(
    model: Any, marks: Mapping[bytes, str], folder: Path, facts: Mapping[str, Any], *, is_for_one: bool
) -> Graph:
    """Write a graph, without the constants that are marks."""
    import openvino

    with_weights = folder / "with-weights.bin"
    openvino.serialize(model, folder / GRAPH, with_weights)
    constants = with_weights.read_bytes()
    with_weights.unlink()
    pieces, own = [], []
    for offset, size in _places(folder / GRAPH):
        data = constants[offset : offset + size]
        pieces.append(Piece(offset=offset, size=size, tensor=marks.get(data)))
        if data not in marks:
            own.append(data)
    write_atomically(folder / CONSTANTS, b"".join(own))
    files = {name: sha256_of_file(folder / name) for name in (GRAPH, CONSTANTS)}
    record = GraphRecord(
        pieces=tuple(pieces), size=len(constants), is_for_one=is_for_one, files=files, **facts
    )
    write_json(folder / RECORD, record.model_dump())  # last: without it the graph is incomplete
    return Graph(folder, record)


def _places(description: Path) -> list[tuple[int, int]]:
    """Offset and size in bytes of every constant of a graph, in order; equal constants share a place."""
    nodes = ElementTree.parse(description).iterfind("layers/layer[@type='Const']/data")  # noqa: S314 (our own)
    return sorted({(int(node.attrib["offset"]), int(node.attrib["size"])) for node in nodes})


def _agrees(
    graph: Graph, state: Mapping[str, torch.Tensor], image: torch.Tensor, expected: Sequence[npt.NDArray[Any]]
) -> bool:
    """Whether the graph with its weights computes what torch computes."""
    arrays = {name: value.float().numpy() for name, value in state.items()}
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    found = openvino_core().compile_model(graph.whole(arrays), "CPU", settings)({0: image.numpy()})
    return all(
        np.abs(found[number] - wanted).max() <= _TOLERANCE * np.abs(wanted).max()
        for number, wanted in enumerate(expected)
    )
