from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from regraft.errors import NoMapsError
from regraft.features import conversion
from regraft.features.graphs import conversion_facts, graph_facts
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.features.pooling import StageMaps, map_levels
from regraft.features.torch_runtime import TorchRuntime
from regraft.networks.network import Network, load_network
from regraft.networks.stages import Stage
from regraft.networks.weights.finding import Weights, find_weights
from regraft.records import InputSpec, WeightsSource
from regraft.storage.files import key_of
from tests.features.test_runtimes import rows


def on_canvas(network: str, width: int = 96, height: int = 64) -> Weights:
    weights = find_weights(network, weights="random")
    changes = {"size_px": height, "width_px": width}
    return replace(weights, input_spec=weights.input_spec.model_copy(update=changes))


def pixels(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 64, 96, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def runtimes() -> tuple[OpenVinoRuntime, TorchRuntime]:
    weights = on_canvas("test_efficientnet")
    return OpenVinoRuntime(weights, cut="maps"), TorchRuntime(weights, cut="maps")


def test_both_runtimes_give_the_activations_of_the_plain_networks_stages(
    runtimes: tuple[OpenVinoRuntime, TorchRuntime],
) -> None:
    """The plain network is watched by hooks, so that no code of ours divides it."""
    weights = on_canvas("test_efficientnet")
    network, images, seen = load_network(weights), pixels(3), {}
    modules = dict(network.module.named_modules())
    names = [level.stage for level in runtimes[0].maps]
    assert names == ["blocks.2", "blocks.3", "conv_head"]
    modules["bn2"].register_forward_hook(lambda *given: seen.update(conv_head=given[2]))
    for name in names[:2]:
        modules[name].register_forward_hook(lambda *given, name=name: seen.update({name: given[2]}))
    mean, std = (torch.tensor(part) for part in (weights.input_spec.mean, weights.input_spec.std))
    values = (torch.from_numpy(np.stack(images)).float() / 255 - mean) / std
    with torch.inference_mode():
        network.module.eval()(values.permute(0, 3, 1, 2))
    for runtime in runtimes:
        found = rows(runtime, images)
        for level in runtime.maps:
            shape = (3, level.height, level.width, level.channels)
            own = found[:, level.start : level.stop].reshape(shape)
            expected = seen[level.stage].permute(0, 2, 3, 1).numpy()
            assert np.abs(own - expected).max() < 1e-3 * np.abs(expected).max(), level.stage


def test_both_runtimes_describe_the_same_row(runtimes: tuple[OpenVinoRuntime, TorchRuntime]) -> None:
    fast, exact = runtimes
    assert fast.maps == exact.maps
    assert fast.width == exact.width == fast.maps[-1].stop
    assert [(one.stride, one.height, one.width) for one in fast.maps] == [(8, 8, 12), (16, 4, 6), (32, 2, 3)]
    assert [one.start for one in fast.maps] == [0, *(one.stop for one in fast.maps[:-1])]


@pytest.mark.parametrize(
    ("network", "strides"),
    [("test_convnext", [8, 16]), ("test_coatnet", [8]), ("lenet5", [])],
    ids=["no stride 32", "later stages for one size", "none"],
)
def test_maps_of_other_networks(network: str, strides: list[int]) -> None:
    opened = load_network(on_canvas(network))
    if strides:
        assert [level.stride for level in map_levels(opened)] == strides
    else:
        with pytest.raises(NoMapsError, match=f"{network} has no maps of stride 8, 16 or 32 for 96 x 64"):
            map_levels(opened)


@pytest.mark.parametrize("network", ["test_vit", "vit_tiny_patch16_224"])
@pytest.mark.parametrize("runtime", [OpenVinoRuntime, TorchRuntime], ids=["openvino", "torch"])
def test_a_network_of_tokens_is_refused_with_what_to_choose(network: str, runtime: type) -> None:
    with pytest.raises(
        NoMapsError, match=r"has no maps .* Choose a convolutional network, such as mobilenetv1"
    ):
        runtime(on_canvas(network), cut="maps")


def test_a_child_process_says_that_there_are_no_maps(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The child's program runs in this process, which has imported what it needs."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        code = conversion._main(Path(command[-1]))
        return subprocess.CompletedProcess(command, code, "", capsys.readouterr().err)

    monkeypatch.setattr(conversion.subprocess, "run", run)
    with pytest.raises(NoMapsError, match=r"^lenet5 has no maps of stride"):
        conversion._convert_in_child(on_canvas("lenet5"), own_cache / "graph", "maps")


class Doubled(nn.Module):
    """A map of twice as many cells."""

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(value, scale_factor=2.0)


def test_rows_are_in_the_order_of_strides_even_if_the_network_is_not() -> None:
    stages = (Stage("coarse", nn.AvgPool2d(16)), Stage("fine", Doubled()))
    whole = nn.Sequential(*(stage.module for stage in stages))
    spec = InputSpec(size_px=64, width_px=96, mean=(0, 0, 0), std=(1, 1, 1))
    source = WeightsSource(where="here", sha256="0" * 64, licence="none")
    network = Network("decoder", spec, source, stages, nn.Identity(), whole)
    levels = map_levels(network)
    assert [level.stage for level in levels] == ["fine", "coarse"]
    row = StageMaps(network)(torch.from_numpy(np.stack(pixels(1))))
    halves = row[0, : levels[0].stop].reshape(8, 12, 3), row[0, levels[1].start :].reshape(4, 6, 3)
    assert torch.equal(halves[0][::2, ::2], halves[1])


def test_square_inputs_keep_their_keys_in_the_cache() -> None:
    """Keys as they were before inputs could have a width of their own."""
    weights = find_weights("lenet5")
    spec = {"size_px": 32, "channels": 1, "mean": (0.0,), "std": (1.0,), "interpolation": "bilinear",
            "crop_share": 1.0}  # fmt: skip
    facts = conversion_facts(weights)
    assert facts["input"] == spec
    assert "activation_after" not in facts
    graph = graph_facts(weights)
    assert graph["input"] == [32, 1, [0.0], [1.0]]
    assert set(graph) == {"activation_after", "graph", "recipe", "input", "versions"}
    wide = replace(weights, input_spec=weights.input_spec.model_copy(update={"width_px": 64}))
    assert key_of(graph_facts(wide)) != key_of(graph)
    assert key_of(graph_facts(wide, "maps")) != key_of(graph_facts(wide, 2))
