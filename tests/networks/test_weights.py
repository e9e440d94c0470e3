from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from regraft.errors import UnknownNetworkError, WeightsError, WeightsNotFoundError
from regraft.networks import hubs
from regraft.networks.building import build
from regraft.networks.network import load_network
from regraft.networks.states import load_state
from regraft.networks.weights import find_network, find_weights
from regraft.networks.zoo import PREFERRED, cards
from regraft.records import Recipe

RECIPE = {
    "library": "regraft",
    "constructor": "regraft.lenet5",
    "args": ["lenet5"],
    "kwargs": {"num_classes": 5},
    "input_size": [1, 32, 32],
    "mean": [0.0],
    "std": [1.0],
    "interpolation": "bilinear",
    "crop_pct": 1.0,
    "source": {"licence": "CC0"},
}


@pytest.fixture(autouse=True)
def nothing_else_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub caches, no connection."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setattr(hubs, "_reachable", lambda _: False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with LeNet's weights under another name, and its recipe."""
    (tmp_path / "weights").mkdir()
    shutil.copy(find_weights("lenet5").path, tmp_path / "weights" / "mine.safetensors")
    (tmp_path / "weights" / "mine.json").write_text(json.dumps(RECIPE))
    return tmp_path / "weights"


def test_a_folder_with_a_recipe_is_enough(folder: Path) -> None:
    found = find_weights("mine", weights=folder)
    assert found.recipe == Recipe(library="regraft", name="lenet5", kwargs={"num_classes": 5})
    assert found.source.licence == "CC0"
    assert found.input_spec.size_px == 32


def test_the_environment_comes_after_the_flag(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGRAFT_WEIGHTS", str(folder))
    assert find_weights("mine").path == folder / "mine.safetensors"
    other = shutil.copytree(folder, tmp_path / "other")
    assert find_weights("mine", weights=other).path == other / "mine.safetensors"


def test_the_package_ships_lenet() -> None:
    assert find_weights("lenet5").source.where == "regraft package, lenet5.safetensors"


def test_the_hubs_cache_on_disk_is_used(tmp_path: Path) -> None:
    repository = cards()["resnet18"].hub
    assert repository is not None
    place = tmp_path / "hf" / "hub" / f"models--{repository.replace('/', '--')}" / "snapshots" / "abc"
    place.mkdir(parents=True)
    save_file(build(cards()["resnet18"].recipe).state_dict(), place / "model.safetensors")
    found = find_weights("resnet18", offline=True)
    assert found.source.where == f"{repository} at abc"
    load_network(found)


def test_a_flag_that_holds_nothing_fails_loudly(folder: Path) -> None:
    with pytest.raises(
        WeightsNotFoundError, match=r"no weights for resnet18\. Looked for: .*resnet18\.safetensors.*mine"
    ):
        find_weights("resnet18", weights=folder)


@pytest.mark.parametrize("offline", [True, False])
def test_no_weights_says_what_was_looked_for_and_how_to_get_them(offline: bool) -> None:
    state = "not asked: offline" if offline else "can't be reached"
    with pytest.raises(
        WeightsNotFoundError, match=rf"timm/resnet50.a1_in1k.*{state}.*--weights.*REGRAFT_WEIGHTS"
    ):
        find_weights("resnet50", offline=offline)


def test_offline_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "_reachable", lambda host: pytest.fail(f"asked {host}"))
    with pytest.raises(WeightsNotFoundError):
        find_weights("resnet50", offline=True)


def test_an_unknown_network_gets_close_names() -> None:
    with pytest.raises(UnknownNetworkError, match=r"'resnet5O'.*did you mean resnet50"):
        find_weights("resnet5O", offline=True)


def test_without_a_name_the_first_of_the_list_at_hand_is_chosen(tmp_path: Path) -> None:
    for name in ("resnet18", "mobilenetv1_100"):
        save_file({"x": torch.zeros(1)}, tmp_path / f"{name}.safetensors")
    name, reason = find_network(weights=tmp_path)
    assert name == "mobilenetv1_100"
    assert "convnext_tiny" in reason


def test_lenet_is_never_chosen_for_photos() -> None:
    assert "lenet5" not in PREFERRED
    with pytest.raises(WeightsNotFoundError, match="no network was named and no weights are at hand"):
        find_network()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"library": "os"}, "library"),
        ({"args": ["../../evil"]}, "name"),
        ({"kwargs": {"checkpoint_path": "/etc/passwd"}}, "checkpoint_path='/etc/passwd'; accepted"),
        ({"kwargs": {"num_classes": {"a": 1}}}, "kwargs"),
        ({"args": ["system"]}, "no network is called 'system'"),
    ],
    ids=["library", "path", "argument", "type", "unregistered"],
)
def test_recipes_are_data_not_code(folder: Path, change: dict[str, object], message: str) -> None:
    (folder / "mine.json").write_text(json.dumps({**RECIPE, **change}))
    with pytest.raises((WeightsError, UnknownNetworkError), match=message):
        load_network(find_weights("mine", weights=folder))


class _Canary:
    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, ("canary", 0o755)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
def test_no_code_runs_from_a_weights_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (folder / "mine.safetensors").unlink()
    (folder / f"mine{suffix}").write_bytes(pickle.dumps(_Canary()))
    with pytest.raises(WeightsError, match=r"mine\."):
        load_network(find_weights("mine", weights=folder))
    assert not (tmp_path / "canary").exists()


def test_a_plain_checkpoint_is_converted(folder: Path) -> None:
    original = find_weights("lenet5")
    network = build(original.recipe)
    load_state(network, original.path)
    (folder / "mine.safetensors").unlink()
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, folder / "mine.pth"
    )
    loaded = load_network(find_weights("mine", weights=folder))
    image = torch.rand(1, 1, 32, 32)
    assert torch.equal(loaded.forward(image), network(image))


def test_weights_of_another_shape_are_refused_by_name(folder: Path) -> None:
    (folder / "mine.json").write_text(json.dumps({**RECIPE, "kwargs": {"num_classes": 7}}))
    with pytest.raises(WeightsError, match=r"output.weight has shape \(5, 84\), expected \(7, 84\)"):
        load_network(find_weights("mine", weights=folder))


def test_random_weights_are_the_same_every_time(own_cache: Path) -> None:
    first = find_weights("lenet5", weights="random").sha256
    shutil.rmtree(own_cache)
    assert find_weights("lenet5", weights="random").sha256 == first


@pytest.mark.parametrize("name", ["mobilenetv1_100", "mobilenetv2_100", "squeezenet1_1"])
def test_real_weights_load_strictly(shared: Callable[[str], Path], name: str) -> None:
    network = load_network(find_weights(name, weights=shared("weights")))
    size = network.input_spec.size_px
    with torch.inference_mode():
        assert network.forward(torch.zeros(1, 3, size, size)).shape == (1, 1000)
