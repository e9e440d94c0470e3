from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from regraft.data.pictures.loading import Pixels
from regraft.errors import SettingsError
from regraft.features.conversion import converted
from regraft.features.opening import open_runtime
from regraft.features.openvino_runtime import OpenVinoRuntime
from regraft.features.pooling import PooledStages, summarise
from regraft.features.runtimes import Runtime
from regraft.features.torch_runtime import TorchRuntime
from regraft.networks.adaptation import adapted
from regraft.networks.network import load_network
from regraft.networks.weights.finding import find_weights
from regraft.progress import Silent
from tests.networks.sample import in_turn

RUNTIMES = [OpenVinoRuntime, TorchRuntime]


def pixels(count: int, size: int = 32, channels: int = 1) -> list[Pixels]:
    generator = np.random.default_rng(0)
    smooth = generator.integers(0, 256, (count, 4, 4, channels), dtype=np.uint8)
    return [np.kron(image, np.ones((size // 4, size // 4, 1), dtype=np.uint8)) for image in smooth]


def rows(runtime: Runtime, images: list[Pixels]) -> np.ndarray:
    found = dict(runtime.run(enumerate(images)))
    return np.stack([found[number] for number in range(len(images))])


@pytest.fixture(params=RUNTIMES, ids=["openvino", "torch"], scope="module")
def runtime(request: pytest.FixtureRequest) -> Runtime:
    opened: Runtime = request.param(find_weights("lenet5"))
    return opened


def test_features_are_the_networks_own_pooled_activations(runtime: Runtime) -> None:
    images = pixels(5)
    network = load_network(find_weights("lenet5"))
    with torch.inference_mode():
        expected = PooledStages(network)(torch.from_numpy(np.stack(images))).numpy()
    assert np.allclose(rows(runtime, images), expected, atol=1e-5)


def test_bits_depend_on_neither_neighbours_nor_order(runtime: Runtime) -> None:
    images = pixels(37)
    together = rows(runtime, images)
    assert np.array_equal(rows(runtime, images[::-1])[::-1], together)
    assert np.array_equal(rows(runtime, images[7:8])[0], together[7])


def test_both_runtimes_agree_on_the_layout() -> None:
    weights = find_weights("lenet5")
    assert OpenVinoRuntime(weights).layout == TorchRuntime(weights).layout


def test_facts_tell_precisions_apart() -> None:
    weights = find_weights("lenet5")
    assert TorchRuntime(weights).facts != TorchRuntime(weights, precision="bf16").facts


def test_bf16_is_close_to_fp32() -> None:
    weights, images = find_weights("lenet5"), pixels(8)
    exact = rows(TorchRuntime(weights), images)
    short = rows(TorchRuntime(weights, precision="bf16"), images)
    cosine = (exact * short).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(short, axis=1)
    assert cosine.min() > 0.999


@pytest.mark.parametrize(
    ("name", "device", "message"),
    [("openvino", "cuda", "works on the cpu, not on cuda"), ("torch", "tpu9", "device 'tpu9' can't be used")],
)
def test_impossible_choices_are_refused(name: str, device: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        open_runtime(find_weights("lenet5"), name=name, device=device, reporter=Silent())  # type: ignore[arg-type]


@pytest.mark.children
def test_solved_heads_on_a_converted_network_need_no_torch_and_no_connection(
    photos: Path, tmp_path: Path
) -> None:
    """Also where the network was adapted to colours, after the first time."""
    converted(adapted(find_weights("lenet5"), channels=3))
    code = (
        "import socket, sys, regraft\n"
        "socket.socket.connect = lambda *_: sys.exit('opened a connection')\n"
        "model = regraft.fit(sys.argv[1], network='lenet5', channels=3, strategy='many-stages', "
        "out=sys.argv[2])\n"
        "regraft.load_model(sys.argv[2]).predict(sys.argv[1] + '/dark/0.png')\n"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    )
    command = [sys.executable, "-c", code, str(photos), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("shape", "statistics"),
    [
        ((2, 8), ["mean"]),
        ((2, 512, 7, 7), ["mean", "std"]),
        ((2, 7, 7, 512), ["mean", "std"]),
        ((2, 16, 5, 5), ["mean", "std", "map"]),
        ((2, 197, 64), ["mean", "std", "token"]),
        ((2, 196, 64), ["mean", "std"]),
        ((2, 64, 1, 1), ["mean"]),
    ],
    ids=str,
)
def test_activations_of_every_shape_are_summarised(shape: tuple[int, ...], statistics: list[str]) -> None:
    found = summarise(torch.rand(shape))
    assert [name for name, _ in found] == statistics
    assert all(part.ndim == 2 and len(part) == 2 for _, part in found)


def test_moments_by_hand() -> None:
    """Values 0, 2, 4, 6 at four positions: mean 3, variance (9 + 1 + 1 + 9) / 4 = 5."""
    activation = torch.tensor([0.0, 2.0, 4.0, 6.0]).reshape(1, 1, 2, 2).expand(1, 1024, 2, 2)
    mean, std = (part for _, part in summarise(activation))
    assert torch.allclose(mean, torch.tensor(3.0))
    assert torch.allclose(std, torch.tensor(5.0).sqrt())


@pytest.mark.slow
@pytest.mark.parametrize("name", in_turn(["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"], 1))
def test_token_networks_give_the_same_features_on_both_runtimes(name: str) -> None:
    weights = find_weights(name, weights="random")
    images = pixels(2, size=224, channels=3)
    exact, fast = rows(TorchRuntime(weights), images), rows(OpenVinoRuntime(weights), images)
    assert np.abs(exact - fast).max() < 1e-4 * np.abs(exact).max()


@pytest.mark.parametrize("name", in_turn(["mobilenetv2_100", "squeezenet1_1"], 1))
def test_real_networks_give_the_same_features_on_both_runtimes(
    shared: Callable[[str], Path], name: str
) -> None:
    weights = find_weights(name, weights=shared("weights"))
    images = pixels(3, size=224, channels=3)
    exact, fast = rows(TorchRuntime(weights), images), rows(OpenVinoRuntime(weights), images)
    assert np.abs(exact - fast).max() < 1e-4 * np.abs(exact).max()


@pytest.mark.parametrize("opened", RUNTIMES, ids=["openvino", "torch"])
def test_a_row_over_mirror_images_is_the_mean_of_both(opened: type[Runtime]) -> None:
    weights = find_weights("lenet5")
    images = pixels(5)
    alone, both = (opened(one) for one in (weights, weights.averaged("mirror")))  # type: ignore[call-arg]
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    expected = (rows(alone, images) + rows(alone, mirrored)) / 2
    assert np.allclose(rows(both, images), expected, atol=1e-5)
    assert np.allclose(rows(both, mirrored), rows(both, images), atol=1e-5)
    assert not np.allclose(rows(alone, images), expected, atol=1e-3)
    assert alone.facts != both.facts
