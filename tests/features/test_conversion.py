from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from regraft.errors import NetworkError, WeightsError
from regraft.features import conversion
from regraft.features.conversion import converted
from regraft.features.graphs import PACKAGED, graph_facts, unpack
from regraft.features.opening import open_moments
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.features.torch_runtime import TorchRuntime
from regraft.networks.weights.finding import Weights, find_weights
from regraft.networks.weights.states import read_state, save_state
from regraft.storage.files import read_json, sha256_of_file
from tests.features.test_runtimes import pixels, rows
from tests.networks.sample import in_turn


def trained(weights: Weights, folder: Path) -> Weights:
    """Other weights of the same architecture: every tensor is changed a little."""
    torch.manual_seed(1)
    state = read_state(weights.path)
    changed = {
        name: value * (1 + 0.1 * torch.rand(value.shape)) if value.is_floating_point() else value
        for name, value in state.items()
    }
    path = folder / "trained.safetensors"
    save_state(changed, path)
    return replace(weights, network="trained", path=path, sha256=sha256_of_file(path))


def is_close(found: np.ndarray, exact: np.ndarray) -> bool:
    return bool(np.abs(exact - found).max() < 1e-4 * np.abs(exact).max())


def test_other_weights_of_an_architecture_are_not_converted_again(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_weights("lenet5")
    folder = converted(first).folder
    monkeypatch.setattr(conversion, "_trace", lambda *_: pytest.fail("it was converted again"))
    other = trained(first, tmp_path)
    assert converted(other).folder == folder
    assert is_close(rows(OpenVinoRuntime(other), pixels(5)), rows(TorchRuntime(other), pixels(5)))
    assert not is_close(rows(OpenVinoRuntime(other), pixels(5)), rows(OpenVinoRuntime(first), pixels(5)))


def test_a_graph_holds_no_weights(own_cache: Path) -> None:
    weights = find_weights("lenet5")
    graph = converted(weights)
    assert not graph.is_for_one
    assert sum(path.stat().st_size for path in graph.folder.glob("*.bin")) < 2_000


@pytest.mark.parametrize("name", ["graph.xml", "constants.bin", "graph.json"])
def test_a_damaged_graph_is_made_again(own_cache: Path, name: str) -> None:
    weights = find_weights("lenet5")
    graph = converted(weights)
    whole = (graph.folder / name).read_bytes()
    (graph.folder / name).write_bytes(whole[:-1])
    again = converted(weights)
    assert (again.folder, again.layout) == (graph.folder, graph.layout)
    assert is_close(rows(OpenVinoRuntime(weights), pixels(5)), rows(TorchRuntime(weights), pixels(5)))


def test_weights_of_another_shape_are_refused(own_cache: Path, tmp_path: Path) -> None:
    weights = find_weights("lenet5")
    converted(weights)
    state = read_state(weights.path)
    name = next(iter(state))
    save_state({**state, name: state[name][:1]}, tmp_path / "short.safetensors")
    with pytest.raises(
        WeightsError, match=rf"short.safetensors doesn't fit lenet5: {name} has shape \(1,\), expected"
    ):
        converted(replace(weights, path=tmp_path / "short.safetensors"))


def test_a_failed_conversion_says_why(own_cache: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not weights")
    with pytest.raises(
        NetworkError, match=r"lenet5 can't be converted for OpenVINO: .*broken.safetensors.*runtime torch"
    ):
        converted(replace(find_weights("lenet5"), path=broken, sha256="0" * 64))


@pytest.mark.slow
def test_a_network_that_computes_with_its_weights_has_a_graph_for_each(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if OpenVINO had folded a weight into another constant: no mark is found in the graph."""
    from regraft.features import tracing

    monkeypatch.setattr(tracing, "_marked", lambda network: tracing_marks(network))
    weights = find_weights("lenet5")
    other = trained(weights, tmp_path)
    for one in (weights, other):
        assert converted(one).is_for_one
        assert is_close(rows(OpenVinoRuntime(one), pixels(5)), rows(TorchRuntime(one), pixels(5)))
    assert converted(weights).folder != converted(other).folder


def tracing_marks(network):  # type: ignore[no-untyped-def]
    """Other numbers in every tensor, and no record of them."""
    for value in network.module.state_dict().values():
        value.fill_(0.25)
    return {}


@pytest.mark.parametrize("name", in_turn(["mobilenetv2_100", "squeezenet1_1"], 1))
def test_real_networks_have_the_same_moments_on_both_runtimes(
    shared: Callable[[str], Path], name: str
) -> None:
    weights = find_weights(name, weights=shared("weights"))
    fast, exact = open_moments(weights, name="openvino"), open_moments(weights, name="torch")
    images = pixels(3, size=224, channels=3)
    assert (fast.layout, fast.norms) == (exact.layout, exact.norms)
    assert is_close(rows(fast, images), rows(exact, images))


def test_the_packaged_graph_needs_no_conversion_and_computes_what_torch_does(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = find_weights(PACKAGED.stem, offline=True)
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "_trace", lambda *_: pytest.fail("it was converted"))
        patch.setattr(metadata, "version", lambda name: "2099.1.0")  # other versions give the same graph
        graph = converted(weights)
        assert converted(weights).folder == graph.folder
    exact = TorchRuntime(weights)
    assert graph.layout == exact.layout
    image = pixels(3, size=weights.input_spec.size_px, channels=3)
    assert is_close(rows(OpenVinoRuntime(weights), image), rows(exact, image))
    moments = open_moments(weights, name="openvino"), open_moments(weights, name="torch")
    assert is_close(rows(moments[0], image), rows(moments[1], image))


def test_the_packaged_graph_is_what_this_machine_would_convert(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = find_weights(PACKAGED.stem, offline=True)
    assert unpack(graph_facts(weights), tmp_path)
    monkeypatch.setattr(conversion, "unpack", lambda *_: False)
    records = [read_json(folder / "graph.json") for folder in (tmp_path, converted(weights).folder)]
    for name in ("layout", "width", "moments", "norms", "shapes", "is_for_one"):
        assert records[0][name] == records[1][name]


@pytest.mark.parametrize("openvino", ["2026.0.0", "2025.4.1"])
def test_an_older_openvino_converts_itself(
    openvino: str, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = graph_facts(find_weights(PACKAGED.stem, offline=True))
    monkeypatch.setattr(metadata, "version", lambda name: openvino)
    assert not unpack(facts, tmp_path / "packaged")


def test_another_input_size_is_converted(own_cache: Path, tmp_path: Path) -> None:
    weights = find_weights(PACKAGED.stem, offline=True)
    larger = replace(weights, input_spec=weights.input_spec.model_copy(update={"size_px": 256}))
    assert not unpack(graph_facts(larger), tmp_path / "packaged")
    assert not unpack(graph_facts(weights, cut=3), tmp_path / "packaged")
