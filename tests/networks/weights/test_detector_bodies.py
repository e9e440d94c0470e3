"""The backbone of a published detector as a network's weights, from a server that speaks torch's route."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import detection

import regraft
from regraft.errors import DownloadError, SettingsError, WeightsError, WeightsNotFoundError
from regraft.networks.network import load_network
from regraft.networks.weights import detector_bodies
from regraft.networks.weights.detector_bodies import BODIES, address_of, find_body
from regraft.progress import Silent
from tests.detection.shapes import USUAL, draw_shapes
from tests.networks.hub_server import LocalHub, local_hub

NAME = "fasterrcnn_mobilenet_v3_large_320_fpn"


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    """A detector without training, whose batch normalisation has statistics like those of a trained one."""
    torch.manual_seed(0)
    # without any weights its norms are BatchNorm2d with the epsilon of torchvision's frozen ones, 1e-5
    module = detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None).eval()
    for one in module.modules():
        if isinstance(one, nn.BatchNorm2d):
            one.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            one.running_var.uniform_(1e-4, 1.0)  # type: ignore[union-attr]
            one.weight.data.uniform_(0.5, 1.5)
    return module


@pytest.fixture(scope="module")
def file(detector: nn.Module) -> bytes:
    buffer = io.BytesIO()
    state = {name: value for name, value in detector.state_dict().items() if "num_batches" not in name}
    torch.save(state, buffer)  # as it is published: frozen norms count no batches
    return buffer.getvalue()


@pytest.fixture
def hub(file: bytes, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    for name in ("HF_HUB_OFFLINE", "REGRAFT_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with local_hub(file) as running:
        address = f"{running.address}/files/{NAME}-{running.sha256[:8]}.pth"
        monkeypatch.setattr(detector_bodies, "address_of", lambda name: address)
        yield running


def found(**changes: Any) -> Any:
    return find_body(NAME, **{"weights": None, "offline": False, "reporter": Silent(), **changes})


def test_the_maps_are_those_of_the_detectors_own_backbone(hub: LocalHub, detector: nn.Module) -> None:
    network, image = load_network(found()), torch.rand(1, 3, 96, 128)
    with torch.inference_mode():
        expected, *_ = detector.backbone.body(image).values()  # type: ignore[union-attr,operator]
        value, differences = image, []
        for stage in network.stages:
            value = stage.module(value)
            if value.shape == expected.shape:
                differences.append(float((value - expected).abs().max() / expected.abs().max()))
    assert min(differences) < 1e-5


def test_it_is_downloaded_once_and_its_origin_is_said(hub: LocalHub) -> None:
    first = found()
    asked = len(hub.bodies)
    again = found(offline=True)
    assert (first.sha256, first.path, len(hub.bodies)) == (again.sha256, again.path, asked)
    assert first.network == "mobilenet_v3_large"
    assert first.source.where.startswith(f"backbone of {NAME} (COCO), from http://")
    assert first.source.sha256 == hub.sha256


def test_nothing_is_downloaded_where_it_is_forbidden(hub: LocalHub) -> None:
    with pytest.raises(WeightsNotFoundError, match=rf"{NAME} is not .* offline forbids .*weights FOLDER"):
        found(offline=True)
    assert hub.bodies == []


def test_a_hash_that_is_not_the_names_is_refused(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"{hub.address}/files/{NAME}-00000000.pth"
    monkeypatch.setattr(detector_bodies, "address_of", lambda name: address)
    with pytest.raises(DownloadError, match=f"can't download {NAME}: .*expected 00000000"):
        found()


def test_a_file_that_changed_in_the_cache_is_refused(hub: LocalHub, tmp_path: Path) -> None:
    found()
    (path,) = (tmp_path / "torch").rglob("*.pth")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match=r"expected [0-9a-f]{8}…: delete it"):
        found()


def test_a_folder_of_the_users_own_is_enough(file: bytes, own_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=f"no weights of {NAME} in .*Put {NAME}.pth there"):
        found(weights=tmp_path)
    (tmp_path / f"{NAME}.pth").write_bytes(file)
    assert found(weights=tmp_path, offline=True).network == "mobilenet_v3_large"


def test_another_detectors_file_is_refused(file: bytes, own_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "fcos_resnet50_fpn.pth").write_bytes(file)
    with pytest.raises(WeightsError, match="is not a detector of torchvision with the backbone resnet50"):
        find_body("fcos_resnet50_fpn", weights=tmp_path, offline=True, reporter=Silent())


def test_all_detectors_are_published_with_a_hash_in_their_name() -> None:
    for name in BODIES:
        assert detector_bodies.hubs.stated_hash(address_of(name)), name


@pytest.mark.slow
def test_a_fit_starts_from_a_detector(hub: LocalHub, tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data", USUAL)
    model = regraft.fit(
        data, from_run=NAME, image_size=96, runtime="torch", budget="1s", out=tmp_path / "run"
    )
    assert isinstance(model, regraft.Detector)
    assert model.lineage[0].startswith(f"backbone of {NAME} (COCO)")
    assert regraft.load_model(tmp_path / "run").weights.sha256 == model.weights.sha256


def test_a_network_beside_a_detector_is_refused(tmp_path: Path) -> None:
    data = draw_shapes(tmp_path / "data", USUAL)
    with pytest.raises(
        SettingsError, match=rf"from_run {NAME} determines the network \(mobilenet_v3_large\)"
    ):
        regraft.fit(data, from_run=NAME, network="resnet18", budget="1s", out=tmp_path / "run")
