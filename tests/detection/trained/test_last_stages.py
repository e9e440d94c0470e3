from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from regraft.detection.training.last_stages import LastStages, last_stages
from regraft.errors import NetworkError
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.features.torch_runtime import TorchRuntime
from regraft.networks.network import Network, load_network
from regraft.networks.weights.finding import Weights, find_weights
from regraft.networks.weights.states import save_state
from regraft.storage.files import sha256_of_file


@pytest.fixture(scope="module")
def weights() -> Weights:
    found = find_weights("test_efficientnet", weights="random")
    spec = found.input_spec.model_copy(update={"size_px": 64, "width_px": 96})
    return replace(found, input_spec=spec)


@pytest.fixture
def network(weights: Weights) -> Network:
    return load_network(weights)


def pixels() -> Iterator[tuple[str, np.ndarray]]:
    draws = np.random.default_rng(3)
    for number in range(3):
        yield str(number), draws.integers(0, 256, (64, 96, 3), dtype=np.uint8)


def rows_of(weights: Weights) -> tuple[TorchRuntime, torch.Tensor]:
    runtime = TorchRuntime(weights, device="cpu", cut="maps")
    rows = [torch.from_numpy(np.asarray(row, np.float32)) for _, row in runtime.run(pixels())]
    return runtime, torch.stack(rows)


def test_the_stages_compute_the_coarsest_map_from_the_next_finer_one(
    weights: Weights, network: Network
) -> None:
    runtime, rows = rows_of(weights)
    stage = last_stages(network, runtime.maps)
    coarsest = runtime.maps[-1]
    emptied = rows.clone()
    emptied[:, coarsest.start :] = 0
    with torch.inference_mode():
        found = stage.module(emptied)
    assert coarsest.stage in stage.name
    torch.testing.assert_close(found, rows, rtol=1e-4, atol=1e-5)


def test_what_is_trained_is_what_the_saved_network_computes(
    weights: Weights, network: Network, tmp_path: Path
) -> None:
    runtime, rows = rows_of(weights)
    stage = last_stages(network, runtime.maps)
    stage.module.requires_grad_(True)
    optimizer = torch.optim.Adam(stage.module.parameters(), lr=0.02)
    for _ in range(3):
        optimizer.zero_grad()
        stage.module(rows)[:, runtime.maps[-1].start :].square().mean().backward()
        optimizer.step()
    with torch.inference_mode():
        trained = stage.module(rows)
    assert not torch.allclose(trained, rows, atol=1e-2)
    path = tmp_path / "network.safetensors"
    save_state(network.module.state_dict(), path)
    tuned = replace(weights, path=path, sha256=sha256_of_file(path))
    torch.testing.assert_close(rows_of(tuned)[1], trained, rtol=1e-3, atol=1e-3)
    served = [torch.from_numpy(np.asarray(row, np.float32)) for _, row in maps_in_openvino(tuned)]
    torch.testing.assert_close(torch.stack(served), trained, rtol=5e-3, atol=5e-3)


def maps_in_openvino(weights: Weights) -> list[tuple[str, np.ndarray]]:
    return list(OpenVinoRuntime(weights, cut="maps").run(pixels()))


def test_a_network_with_one_map_has_no_stages_between_two(weights: Weights, network: Network) -> None:
    runtime, _ = rows_of(weights)
    with pytest.raises(NetworkError, match="test_efficientnet has maps of one stride, so no stage lies"):
        last_stages(network, runtime.maps[-1:])


def test_gradients_reach_the_stages_and_not_the_finer_map(weights: Weights, network: Network) -> None:
    runtime, rows = rows_of(weights)
    stage = last_stages(network, runtime.maps)
    assert isinstance(stage.module, LastStages)
    stage.module.requires_grad_(True)
    stage.module(rows).sum().backward()
    inside = {id(parameter) for parameter in stage.module.parameters()}
    assert all(parameter.grad is not None for parameter in stage.module.parameters())
    outside = [parameter for parameter in network.module.parameters() if id(parameter) not in inside]
    assert outside
    assert all(parameter.grad is None for parameter in outside)
