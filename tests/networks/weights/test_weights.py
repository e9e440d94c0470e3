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
from regraft.networks.architectures.building import build
from regraft.networks.network import load_network
from regraft.networks.weights.finding import find_weights
from regraft.networks.weights.states import load_state
from regraft.networks.zoo.cards import cards
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
    """Empty hub caches."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


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


def test_a_folder_without_the_weights_says_what_it_holds(folder: Path) -> None:
    with pytest.raises(
        WeightsNotFoundError, match=r"no weights for min in .*holds weights for mine \(did you mean"
    ):
        find_weights("min", weights=folder)


def test_a_place_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"weights .*gone does not exist; accepted are"):
        find_weights("resnet18", weights=tmp_path / "gone")


def test_no_weights_says_how_to_get_them_and_how_large_they_are() -> None:
    with pytest.raises(WeightsNotFoundError) as raised:
        find_weights("resnet50", offline=True)
    assert raised.value.with_flags == (
        "no pretrained weights for resnet50 on this machine, and --offline forbids a download. Download them "
        "while online (about 103 MB, once): regraft weights fetch resnet50. Or put resnet50.safetensors into "
        "a folder by hand and pass --weights FOLDER"
    )


def test_a_network_that_nobody_publishes_says_so() -> None:
    with pytest.raises(
        WeightsNotFoundError, match=r"no pretrained weights for zfnet .*none are published\. Train it"
    ):
        find_weights("zfnet")


def test_an_unknown_network_gets_close_names() -> None:
    with pytest.raises(UnknownNetworkError, match=r"'resnet5O'.*did you mean resnet50"):
        find_weights("resnet5O", offline=True)


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
